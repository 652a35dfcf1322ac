using System.Globalization;

namespace OutlierPipeline.IntegrationTests.Chaos;

/// <summary>How much is to happen: little unless more is asked for, and what <c>./test.sh --chaos</c> asks for.</summary>
/// <param name="Seed">Decides what happens in which order.</param>
/// <param name="ReplicaKills">So many kills of replicas of the service.</param>
/// <param name="NodeKills">So many kills of Kafka's nodes.</param>
/// <param name="Limit">It ends after this time, whatever has not happened by then.</param>
/// <param name="Directory">Where the journal, what the replicas printed, and the table are kept; null for nowhere.</param>
internal sealed record ChaosPlan(int Seed, int ReplicaKills, int NodeKills, TimeSpan Limit, string? Directory)
{
    public static ChaosPlan FromEnvironment() => new(Number("OUTLIER_CHAOS_SEED") ?? Random.Shared.Next(1, 100_000),
        Number("OUTLIER_CHAOS_KILLS") ?? 5, Number("OUTLIER_CHAOS_NODE_KILLS") ?? 2,
        TimeSpan.FromMinutes(Number("OUTLIER_CHAOS_MINUTES") ?? 1),
        Environment.GetEnvironmentVariable("OUTLIER_CHAOS_OUT"));

    private static int? Number(string name) => Environment.GetEnvironmentVariable(name) is { Length: > 0 } text
        ? int.Parse(text, CultureInfo.InvariantCulture) : null;
}
