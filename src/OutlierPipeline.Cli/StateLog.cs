using System.Globalization;
using Confluent.Kafka;
using Confluent.Kafka.Admin;

namespace OutlierPipeline.Cli;

/// <summary>
/// The settings of <c>ood.state</c>. Its log is read whole when a partition is assigned, and what is being written to, the last segment, is
/// never compacted: with Kafka's own defaults that is up to 1 GiB or a week.
/// </summary>
internal static class StateLog
{
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(2);

    /// <summary>Settings at which compaction is worth less than is wanted of a restore, with what to set instead.</summary>
    private static readonly (string Name, double Most, string Wanted)[] Limits =
    [
        ("segment.bytes", 128 << 20, "33554432"),
        ("segment.ms", 3_600_000, "600000"),
        ("min.cleanable.dirty.ratio", 0.3, "0.1"),
    ];

    /// <summary>What <c>check --create</c> sets.</summary>
    public static Dictionary<string, string> Settings =>
        new(Limits.Select(limit => KeyValuePair.Create(limit.Name, limit.Wanted))) { ["cleanup.policy"] = "compact" };

    public static async Task CheckAsync(IAdminClient admin, string topic, CheckReport report)
    {
        string what = $"{topic} cleanup.policy";
        try
        {
            var described = await admin.DescribeConfigsAsync([new ConfigResource { Type = ResourceType.Topic, Name = topic }],
                new DescribeConfigsOptions { RequestTimeout = Timeout });
            var entries = described[0].Entries;
            string policy = entries["cleanup.policy"].Value;
            if (policy.Contains("compact", StringComparison.Ordinal)) report.Good(what, policy);
            else report.Fault(what, policy, $"Without compaction a detector's state expires: {Remedy(topic, "cleanup.policy=compact")}.");
            string[] large = [.. Limits.Where(limit => entries.TryGetValue(limit.Name, out var entry)
                && double.TryParse(entry.Value, CultureInfo.InvariantCulture, out double value) && value > limit.Most)
                .Select(limit => limit.Name)];
            if (large.Length == 0) report.Good($"{topic} compaction", "often enough for a quick restore");
            else report.Fault($"{topic} compaction", string.Join(", ", large.Select(name => $"{name} is {entries[name].Value}")),
                "A restart reads what is not compacted: " + Remedy(topic, string.Join(',', Limits.Where(limit => large.Contains(limit.Name))
                    .Select(limit => $"{limit.Name}={limit.Wanted}"))) + ".");
        }
        catch (KafkaException e)
        {
            report.Unknown(what, $"the broker does not say ({e.Error.Reason})");
        }
    }

    private static string Remedy(string topic, string settings) => $"kafka-configs --alter --add-config {settings} --topic {topic}";
}
