using System.Net;

namespace OutlierPipeline.Service.Subscriptions;

/// <summary>Configuration section <c>Webhooks</c>.</summary>
internal sealed record WebhookOptions
{
    /// <summary>How long a receiver may take to answer.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>A subscription is dead when every attempt has failed for so long.</summary>
    public TimeSpan GiveUpAfter { get; init; } = TimeSpan.FromDays(3);

    /// <summary>
    /// Networks of receivers that are allowed although they are private, loopback or link-local, such as <c>10.2.0.0/16</c>.
    /// </summary>
    public string[] AllowedNetworks { get; init; } = [];

    /// <summary>Messages for what is out of range.</summary>
    public IEnumerable<string> Validate()
    {
        if (Timeout < TimeSpan.FromMilliseconds(100) || Timeout > TimeSpan.FromMinutes(2))
            yield return $"Webhooks:Timeout is {Timeout}; expected 00:00:00.100 to 00:02:00";
        if (GiveUpAfter < TimeSpan.FromMinutes(1) || GiveUpAfter > TimeSpan.FromDays(90))
            yield return $"Webhooks:GiveUpAfter is {GiveUpAfter}; expected 00:01:00 to 90 days";
        foreach (string network in AllowedNetworks.Where(network => !IPNetwork.TryParse(network, out _)))
            yield return $"Webhooks:AllowedNetworks has {network}; expected a network such as 10.2.0.0/16";
    }
}
