using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace OutlierPipeline.Service.Subscriptions;

/// <summary>Signs webhooks.</summary>
/// <remarks>Standard Webhooks (standardwebhooks.com), symmetric signatures.</remarks>
public static class WebhookSignature
{
    private const string SecretPrefix = "whsec_";

    /// <summary>A new secret of 256 random bits, <c>whsec_</c> and Base64.</summary>
    public static string CreateSecret() => SecretPrefix + Convert.ToBase64String(RandomNumberGenerator.GetBytes(32));

    /// <summary>Whether a text is a secret: 24 to 64 bytes.</summary>
    public static bool IsSecret(string secret)
    {
        try
        {
            return Key(secret).Length is >= 24 and <= 64;
        }
        catch (FormatException)
        {
            return false;
        }
    }

    /// <summary>The header <c>webhook-signature</c>.</summary>
    /// <param name="secret"><c>whsec_</c> and Base64.</param>
    /// <param name="id">The header <c>webhook-id</c>.</param>
    /// <param name="timestamp">The header <c>webhook-timestamp</c>, Unix seconds.</param>
    /// <exception cref="FormatException">The secret is none.</exception>
    public static string Sign(string secret, string id, long timestamp, ReadOnlySpan<byte> body)
    {
        byte[] head = Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{id}.{timestamp}."));
        return "v1," + Convert.ToBase64String(HMACSHA256.HashData(Key(secret), (byte[])[.. head, .. body]));
    }

    private static byte[] Key(string secret) => secret.StartsWith(SecretPrefix, StringComparison.Ordinal)
        ? Convert.FromBase64String(secret[SecretPrefix.Length..]) : throw new FormatException($"a secret begins with {SecretPrefix}");
}
