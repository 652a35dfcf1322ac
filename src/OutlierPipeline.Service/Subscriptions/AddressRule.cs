using System.Net;
using System.Net.Sockets;

namespace OutlierPipeline.Service.Subscriptions;

/// <summary>Which addresses a webhook may be sent to: whoever makes a subscription must not reach what only this machine can.</summary>
/// <remarks>IANA's special-purpose address registries (RFC 6890).</remarks>
internal sealed class AddressRule(WebhookOptions options)
{
    private static readonly (IPNetwork Network, string What)[] Special =
    [
        .. new[]
        {
            ("0.0.0.0/8", "an unspecified"), ("10.0.0.0/8", "a private"), ("100.64.0.0/10", "a carrier's private"),
                ("127.0.0.0/8", "a loopback"), ("169.254.0.0/16", "a link-local"), ("172.16.0.0/12", "a private"),
            ("192.0.0.0/24", "a protocol's"), ("192.0.2.0/24", "a documentation"), ("192.168.0.0/16", "a private"),
                ("198.18.0.0/15", "a benchmark's"), ("198.51.100.0/24", "a documentation"), ("203.0.113.0/24", "a documentation"),
            ("224.0.0.0/4", "a multicast"), ("240.0.0.0/4", "a reserved"),
            ("::/128", "an unspecified"), ("::1/128", "a loopback"), ("64:ff9b:1::/48", "a private"), ("100::/64", "a discarding"),
                ("2001:db8::/32", "a documentation"), ("fc00::/7", "a private"), ("fe80::/10", "a link-local"), ("fec0::/10", "a private"),
                ("ff00::/8", "a multicast"),
        }.Select(entry => (IPNetwork.Parse(entry.Item1), entry.Item2)),
    ];

    private readonly IPNetwork[] _allowed = [.. options.AllowedNetworks.Select(network => IPNetwork.Parse(network))];

    /// <summary>Why an address is refused, or null.</summary>
    public string? Refusal(IPAddress address)
    {
        var plain = Plain(address);
        if (_allowed.Any(network => network.Contains(plain))) return null;
        foreach (var (network, what) in Special)
        {
            if (network.Contains(plain)) return $"refused: {address} is {what} address; Webhooks:AllowedNetworks allows it";
        }
        return null;
    }

    /// <summary>The IPv4 address that an IPv6 address stands for: mapped, compatible, NAT64, 6to4 or Teredo.</summary>
    private static IPAddress Plain(IPAddress address)
    {
        if (address.AddressFamily != AddressFamily.InterNetworkV6) return address;
        if (address.IsIPv4MappedToIPv6) return address.MapToIPv4();
        byte[] bytes = address.GetAddressBytes();
        if (bytes[0] == 0x20 && bytes[1] == 0x02) return new IPAddress(bytes.AsSpan(2, 4));
        // Teredo writes the client's address turned over.
        if (bytes.AsSpan(0, 4).SequenceEqual((ReadOnlySpan<byte>)[0x20, 0x01, 0, 0]))
            return new IPAddress([.. bytes[12..].Select(value => (byte)~value)]);
        bool isTranslated = bytes.AsSpan(0, 12).SequenceEqual((ReadOnlySpan<byte>)[0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0]);
        bool isCompatible = bytes.AsSpan(0, 12).IndexOfAnyExcept((byte)0) < 0 && bytes.AsSpan(12).IndexOfAnyExcept((byte)0) is >= 0 and < 3;
        return isTranslated || isCompatible ? new IPAddress(bytes.AsSpan(12, 4)) : address;
    }
}
