using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;

namespace OutlierPipeline.Service.Access;

/// <summary>Keys as callers send them, and their hashes as the configuration has them.</summary>
internal static class ApiKey
{
    private const string Prefix = "outlier_";

    /// <summary>A new key of 256 random bits.</summary>
    public static string Create() => Prefix + Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(32));

    public static string HashOf(string key) => "sha256:" + Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(key)));

    /// <summary>The name of the key's entry, or null if it is none of them. Takes the same time whichever it is.</summary>
    public static string? Find(IReadOnlyDictionary<string, ApiKeyOptions> keys, string key)
    {
        byte[] hash = Encoding.ASCII.GetBytes(HashOf(key));
        string? found = null;
        foreach (var (name, known) in keys)
        {
            if (CryptographicOperations.FixedTimeEquals(hash, Encoding.ASCII.GetBytes(known.Hash.ToLowerInvariant()))) found = name;
        }
        return found;
    }
}
