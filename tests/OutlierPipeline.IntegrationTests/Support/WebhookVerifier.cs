using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using OutlierPipeline.Service.Subscriptions;

namespace OutlierPipeline.IntegrationTests.Support;

/// <summary>What a webhook's signature is worth.</summary>
public enum WebhookCheck
{
    Valid,

    /// <summary>No signature is that of the secret.</summary>
    Forged,

    /// <summary>Signed too long ago, or in the future.</summary>
    TooOld,

    /// <summary>
    /// Signed and in time, but seen before: somebody's copy. A retry is signed anew; who must not do a thing twice looks at the id too.
    /// </summary>
    Replayed,
}

/// <summary>Checks webhooks where they are received. Thread-safe.</summary>
/// <param name="secret"><c>whsec_</c> and Base64.</param>
/// <param name="tolerance">How far the sender's clock may be away, and how long what was seen is remembered; five minutes by
/// default.</param>
public sealed class WebhookVerifier(string secret, TimeSpan? tolerance = null, TimeProvider? time = null)
{
    private readonly TimeSpan _tolerance = tolerance ?? TimeSpan.FromMinutes(5);
    private readonly TimeProvider _time = time ?? TimeProvider.System;
    private readonly Dictionary<string, DateTimeOffset> _seen = [];

    /// <param name="id">The header <c>webhook-id</c>.</param>
    /// <param name="timestamp">The header <c>webhook-timestamp</c>.</param>
    /// <param name="signatures">The header <c>webhook-signature</c>: one or several, separated by spaces.</param>
    /// <param name="body">As received, byte by byte.</param>
    public WebhookCheck Verify(string id, string timestamp, string signatures, ReadOnlySpan<byte> body)
    {
        if (!long.TryParse(timestamp, NumberStyles.None, CultureInfo.InvariantCulture, out long seconds)) return WebhookCheck.Forged;
        byte[] expected = Encoding.ASCII.GetBytes(WebhookSignature.Sign(secret, id, seconds, body));
        bool isSigned = false;
        foreach (string signature in signatures.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            isSigned |= CryptographicOperations.FixedTimeEquals(expected, Encoding.UTF8.GetBytes(signature));
        if (!isSigned) return WebhookCheck.Forged;
        var now = _time.GetUtcNow();
        if (Math.Abs(now.ToUnixTimeSeconds() - seconds) > _tolerance.TotalSeconds) return WebhookCheck.TooOld;
        lock (_seen)
        {
            foreach (string old in _seen.Where(known => now - known.Value > 2 * _tolerance).Select(known => known.Key).ToArray())
                _seen.Remove(old);
            return _seen.TryAdd($"{id}.{seconds}", now) ? WebhookCheck.Valid : WebhookCheck.Replayed;
        }
    }
}
