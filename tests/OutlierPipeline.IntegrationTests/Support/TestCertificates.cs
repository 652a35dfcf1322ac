using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace OutlierPipeline.IntegrationTests.Support;

/// <summary>An authority of the tests' own, and what it signs, as PEM files in a directory.</summary>
internal sealed class TestCertificates : IDisposable
{
    private static readonly DateTimeOffset From = DateTimeOffset.UtcNow.AddDays(-1);
    private static readonly DateTimeOffset Until = From.AddDays(30);
    private readonly TestDirectory _directory = new();
    private readonly X509Certificate2 _authority;

    public TestCertificates(string name)
    {
        using var key = RSA.Create(2048);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign, true));
        _authority = request.CreateSelfSigned(From, Until);
        Authority = Write("authority.pem", _authority.ExportCertificatePem());
    }

    /// <summary>The file with the authority's certificate.</summary>
    public string Authority { get; }

    /// <summary>A certificate for 127.0.0.1, and its key, in one file.</summary>
    public string Server()
    {
        var (certificate, key) = Sign("localhost");
        using (key) return Write("server.pem", key.ExportPkcs8PrivateKeyPem() + "\n" + certificate);
    }

    /// <summary>A certificate that proves a name, and its key, which a password opens.</summary>
    public (string Certificate, string Key) Client(string name, string password)
    {
        var (certificate, key) = Sign(name);
        var how = new PbeParameters(PbeEncryptionAlgorithm.Aes256Cbc, HashAlgorithmName.SHA256, 10_000);
        using (key)
            return (Write($"{name}.pem", certificate), Write($"{name}.key.pem", key.ExportEncryptedPkcs8PrivateKeyPem(password, how)));
    }

    public void Dispose()
    {
        _authority.Dispose();
        _directory.Dispose();
    }

    private (string Certificate, RSA Key) Sign(string name)
    {
        var key = RSA.Create(2048);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(IPAddress.Loopback);
        names.AddDnsName("localhost");
        request.CertificateExtensions.Add(names.Build());
        using var certificate = request.Create(_authority, From, Until, RandomNumberGenerator.GetBytes(8));
        return (certificate.ExportCertificatePem(), key);
    }

    private string Write(string name, string text)
    {
        string file = _directory.File(name);
        File.WriteAllText(file, text + "\n");
        return file;
    }
}
