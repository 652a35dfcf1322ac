using System.Text;
using System.Text.Json;
using OutlierPipeline.IntegrationTests.Support;

namespace OutlierPipeline.IntegrationTests.Pipeline;

/// <summary>Single records that held their partition for good.</summary>
public sealed class PoisonTests
{
    private static readonly byte[] Good = SmallFrames.Drive(1, 1)[0];

    [Fact]
    public async Task No_record_holds_its_partition_however_large_its_key_its_headers_or_its_trace_are()
    {
        // Two partitions, since the broker in the process keeps 5 MB of each.
        using var cluster = new TestCluster(2);
        string large = new('x', 995_000);
        cluster.Produce(Encoding.UTF8.GetBytes(new string('k', 1_000_100)), Good, 0);
        cluster.Produce("cam", Encoding.UTF8.GetBytes("no picture"), 0, ("large", new string('x', 1_020_000)));
        cluster.Produce("cam", new byte[1_100_000], 0);
        cluster.Produce("cam", new byte[400_000], 0, ("large", new string('x', 1_020_000)));
        cluster.Produce("cam", Good, 1, ("traceparent", large));
        cluster.Produce("cam", Good, 1, ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
        cluster.Produce("cam", Good, 1, ("traceparent", "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01"));
        cluster.Produce("cam", Good, 1);
        cluster.Flush();
        using var metrics = new MetricRecorder();
        await using var pipeline = new RunningPipeline(cluster.Options());
        await pipeline.Until(() => cluster.Committed().Values.Sum() == 8, "everything being committed");
        var letters = cluster.ReadAll(TestCluster.DeadLetters).ToDictionary(letter => Header(letter, "source.offset")!);
        Assert.Equal("0 1 2 3", string.Join(' ', letters.Keys.Order()));
        Assert.Equal(("MissingCamera", "omitted", "1000100"),
            (Header(letters["0"], "error.reason"), Header(letters["0"], "error.key"), Header(letters["0"], "error.key.bytes")));
        Assert.Equal(("NotAnImage", "omitted"), (Header(letters["1"], "error.reason"), Header(letters["1"], "error.headers")));
        Assert.Equal(("omitted", "1100000"), (Header(letters["2"], "error.payload"), Header(letters["2"], "error.payload.bytes")));
        Assert.Equal("cam", letters["2"].Message.Key);
        Assert.Equal(("omitted", "omitted"), (Header(letters["3"], "error.payload"), Header(letters["3"], "error.headers")));
        Assert.StartsWith("sha256:", Header(letters["3"], "error.payload.digest"), StringComparison.Ordinal);
        // Scored once each: nothing was read again. Only the trace that is one is handed on.
        var scores = cluster.ReadAll(TestCluster.Scores);
        Assert.Equal(4, scores.Count);
        Assert.Single(scores, score => score.Message.Headers.TryGetLastBytes("traceparent", out _));
        Assert.DoesNotContain(pipeline.Log.Messages, message => message.Contains("is read again", StringComparison.Ordinal));
        Assert.Equal(0, metrics.Sum("outlier.frames.replayed"));
    }

    [Fact]
    public async Task Rewinds_back_off_while_results_cannot_be_written_and_the_reason_is_named()
    {
        using var cluster = new TestCluster(2);
        await using var pipeline = new RunningPipeline(cluster.Options());
        await pipeline.Until(() => pipeline.NotReady.Count == 0, "being ready");
        // 29: not authorized.
        cluster.Broker.SetTopicError(TestCluster.Scores, 29);
        cluster.Produce("car-0", Good, 0);
        cluster.Produce("car-1", Good, 1);
        cluster.Flush();
        await pipeline.Until(() =>
            pipeline.NotReady.Any(reason => reason.Contains("ood.scores cannot be written", StringComparison.Ordinal)),
            "a reason that names the topic");
        cluster.Broker.SetTopicError(TestCluster.Scores, 0);
        await pipeline.Until(() => cluster.Committed().Values.Sum(offset => Math.Max(0, offset)) == 2, "everything being committed");
        var scored = cluster.ReadAll(TestCluster.Scores).Select(record =>
            JsonDocument.Parse(record.Message.Value).RootElement.GetProperty("partition").GetInt32()).Distinct();
        Assert.Equal(2, scored.Count());
    }

    private static string? Header(Confluent.Kafka.ConsumeResult<string, byte[]> letter, string name) =>
        letter.Message.Headers.TryGetLastBytes(name, out byte[] value) ? Encoding.UTF8.GetString(value) : null;
}
