using System.Buffers.Text;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace OutlierPipeline.IntegrationTests.Support;

/// <summary>An identity provider: gives a signed token for a client's id and secret, and tells the key that it signs with.</summary>
internal sealed class TokenServer : IDisposable
{
    public const string Audience = "kafka";
    private readonly HttpListener _listener = new();
    private readonly RSA _key = RSA.Create(2048);
    private readonly string _client;
    private readonly string _login;
    private readonly string _base;

    public TokenServer(string client, string secret)
    {
        (_client, _base) = (client, $"http://127.0.0.1:{Ports.Free()}/");
        _login = "Basic " + Convert.ToBase64String(Encoding.UTF8.GetBytes($"{client}:{secret}"));
        _listener.Prefixes.Add(_base);
        _listener.Start();
        _ = ServeAsync();
    }

    public string TokenEndpoint => _base + "token";

    public string Keys => _base + "keys";

    public string Issuer => _base;

    public void Dispose()
    {
        _listener.Close();
        _key.Dispose();
    }

    private async Task ServeAsync()
    {
        try
        {
            while (true)
            {
                var context = await _listener.GetContextAsync();
                bool asksKeys = context.Request.Url!.AbsolutePath == "/keys";
                bool isKnown = asksKeys || context.Request.Headers["Authorization"] == _login;
                context.Response.StatusCode = isKnown ? 200 : 401;
                context.Response.ContentType = "application/json";
                object answer = asksKeys ? KeySet() : isKnown ? Token() : new { error = "invalid_client" };
                context.Response.Close(JsonSerializer.SerializeToUtf8Bytes(answer), willBlock: false);
            }
        }
        catch (Exception e) when (e is HttpListenerException or ObjectDisposedException or InvalidOperationException)
        {
            // Closed.
        }
    }

    private object KeySet()
    {
        var key = _key.ExportParameters(false);
        var told = new { kty = "RSA", use = "sig", alg = "RS256", kid = "1", n = Text(key.Modulus!), e = Text(key.Exponent!) };
        return new { keys = new[] { told } };
    }

    private object Token()
    {
        long now = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
        string signed = Json(new { alg = "RS256", typ = "JWT", kid = "1" }) + "."
            + Json(new { iss = Issuer, aud = Audience, sub = _client, iat = now, exp = now + 3600, scope = "frames" });
        byte[] signature = _key.SignData(Encoding.ASCII.GetBytes(signed), HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        return new { access_token = $"{signed}.{Text(signature)}", token_type = "Bearer", expires_in = 3600 };
    }

    private static string Json(object value) => Text(JsonSerializer.SerializeToUtf8Bytes(value));

    private static string Text(byte[] bytes) => Base64Url.EncodeToString(bytes);
}
