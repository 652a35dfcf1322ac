using System.Globalization;
using System.Text;
using System.Text.Json;
using Confluent.Kafka;
using OutlierPipeline.Footage.Simulation;
using OutlierPipeline.IntegrationTests.Support;

namespace OutlierPipeline.IntegrationTests.Pipeline;

public sealed class AccountingTests
{
    private const int Messages = 5000;
    private const int Partitions = 8;

    [Fact]
    public async Task Every_message_of_a_replay_is_scored_or_dead_lettered_exactly_once_also_across_a_stop_and_start()
    {
        using var cluster = new TestCluster(Partitions);
        var expected = ProduceMixture(cluster);
        await using (var first = new RunningPipeline(cluster.Options()))
        {
            await first.Until(() =>
                cluster.Committed().Values.Sum(offset => Math.Max(0, offset)) > Messages / 4, "a quarter of the offsets being committed");
            // In the middle of it: what is committed has results, whatever else is going on.
            AssertCommittedIsAccountedFor(cluster);
            await first.StopAsync();
        }
        long stopped = cluster.Committed().Values.Sum(offset => Math.Max(0, offset));
        Assert.InRange(stopped, Messages / 4, Messages - 1);
        AssertCommittedIsAccountedFor(cluster);
        await using (var second = new RunningPipeline(cluster.Options()))
        {
            await second.Until(() => cluster.Committed().Values.Sum() == Messages, "all offsets being committed");
            await second.StopAsync();
        }
        var actual = Outcomes(cluster);
        Assert.All(actual, outcome =>
            Assert.True(outcome.Value.Count == 1, $"{outcome.Key} has the outcomes {string.Join(", ", outcome.Value)}"));
        Assert.Equal(expected.OrderBy(pair => pair.Key), actual.Select(outcome => KeyValuePair.Create(outcome.Key, outcome.Value[0]))
            .OrderBy(pair => pair.Key));
    }

    [Fact]
    public async Task After_a_crash_nothing_is_lost_and_what_is_repeated_carries_the_same_ids()
    {
        using var cluster = new TestCluster(1);
        long time = 1_700_000_000_000_000_000;
        foreach (byte[] frame in SmallFrames.FullDrive(1, 20).Concat(SmallFrames.FullDrive(1, 100, Trouble.Fog)))
            cluster.Produce("car-1/front", frame, 0, ("frame-timestamp", (time += 100_000_000).ToString(CultureInfo.InvariantCulture)));
        cluster.Flush();
        // It is killed before its first commit: results are out, offsets are not.
        await using (var first = new ServiceProcess(cluster.BootstrapServers, [.. Clients(cluster), "Kafka:CommitInterval=00:01:00"]))
            await first.Until(() => cluster.ReadAll(TestCluster.Scores).Count == 120, "every score being written");
        Assert.True(cluster.Committed()[0] <= 0, "the first one committed something, so this test shows nothing");
        await using (var second = new ServiceProcess(cluster.BootstrapServers, Clients(cluster)))
            await second.Until(() => cluster.Committed()[0] == 120, "everything being committed");
        Assert.Equal(Enumerable.Range(0, 240).Select(i => (0, (long)(i / 2))), cluster.Scored());
        var alerts = cluster.ReadAll(TestCluster.Alerts).Select(record => JsonDocument.Parse(record.Message.Value).RootElement).ToArray();
        string?[] opened = [.. alerts.Where(alert => alert.GetProperty("type").GetString() == "outlier.alert.opened")
            .Select(alert => alert.GetProperty("id").GetString())];
        Assert.Equal(2, opened.Length);
        Assert.Single(opened.Distinct());
        Assert.Single(alerts.Select(alert => alert.GetProperty("subject").GetString()).Distinct());
    }

    [Fact]
    public async Task After_kills_under_load_nothing_is_lost_and_only_what_was_not_committed_is_repeated()
    {
        const int Kills = 3;
        using var cluster = new TestCluster(Partitions);
        byte[][] frames = SmallFrames.Drive(6, 50);
        var mayRepeat = new HashSet<(int Partition, long Offset)>();
        long sent = 0;
        for (int kill = 0; kill <= Kills; kill++)
        {
            for (int i = 0; i < 800; i++) cluster.Produce($"car-{i % Partitions}", frames[i % frames.Length], i % Partitions);
            cluster.Flush();
            sent += 800;
            long before = cluster.Committed().Values.Sum(offset => Math.Max(0, offset));
            await using (var service = new ServiceProcess(cluster.BootstrapServers, Clients(cluster)))
            {
                // The last one is not killed before it has read everything.
                long enough = kill == Kills ? sent : before + 50;
                await service.Until(() => cluster.Committed().Values.Sum(offset => Math.Max(0, offset)) >= enough, $"{enough} commits");
            }
            foreach (var (partition, committed) in cluster.Committed())
            {
                for (long offset = Math.Max(0, committed); offset < sent / Partitions; offset++) mayRepeat.Add((partition, offset));
            }
        }
        var outcomes = Outcomes(cluster);
        Assert.Equal(sent, outcomes.Count);
        Assert.All(outcomes.Where(outcome => outcome.Value.Count > 1), outcome => Assert.Contains(outcome.Key, mayRepeat));
    }

    [Fact]
    public async Task Two_replicas_share_the_partitions_and_account_for_every_frame()
    {
        using var cluster = new TestCluster(Partitions);
        byte[][] frames = SmallFrames.Drive(3, 50);
        for (int i = 0; i < 1600; i++) cluster.Produce($"car-{i % Partitions}", frames[i % frames.Length], i % Partitions);
        cluster.Flush();
        await using var first = new RunningPipeline(cluster.Options());
        await first.Until(() => cluster.Committed().Values.Sum(offset => Math.Max(0, offset)) > 100, "the first replica's first commits");
        await using var second = new RunningPipeline(cluster.Options());
        await second.Until(() => second.Log.Messages.Any(message => message.Contains("is assigned from offset", StringComparison.Ordinal)),
            "the second replica getting a partition ");
        for (int i = 0; i < 1600; i++) cluster.Produce($"car-{i % Partitions}", frames[i % frames.Length], i % Partitions);
        cluster.Flush();
        await second.Until(() => cluster.Committed().Values.Sum() == 3200, "everything being committed");
        var outcomes = Outcomes(cluster);
        Assert.Equal(3200, outcomes.Count);
        // A partition that is handed over is drained first, so nothing is even repeated; unless the group took no last commit, and then the
        // log
        // says from where on. (This broker refuses a member that asks for its share late, and every commit while it rebalances again.)
        var repeated = outcomes.Where(outcome => outcome.Value is not ["scored"]).ToArray();
        Assert.All(repeated, outcome =>
        {
            Assert.Equal(["scored", "scored"], outcome.Value);
            Assert.Contains(first.Log.Messages, message =>
                message.StartsWith($"Warning: {TestCluster.Frames}[{outcome.Key.Partition}] is given back without a last commit",
                StringComparison.Ordinal));
        });
    }

    /// <summary>Frames of many cameras with bad ones among them; what should become of each.</summary>
    private static Dictionary<(int Partition, long Offset), string> ProduceMixture(TestCluster cluster)
    {
        byte[][] frames = SmallFrames.Drive(2, 60);
        byte[] png = SmallFrames.Drive(2, 1, format: SkiaSharp.SKEncodedImageFormat.Png)[0];
        var random = new Random(5);
        var expected = new Dictionary<(int, long), string>();
        long[] next = new long[Partitions];
        for (int i = 0; i < Messages; i++)
        {
            int partition = i % Partitions;
            byte[] frame = frames[random.Next(frames.Length)];
            string? camera = $"car-{partition}/{random.Next(3)}";
            (string, string)[] headers = [];
            string outcome = "scored";
            switch (random.Next(25))
            {
                case 0: (frame, outcome) = ([], "Empty"); break;
                case 1: (frame, outcome) = (Encoding.UTF8.GetBytes("this is no picture"), "NotAnImage"); break;
                case 2: (frame, outcome) = (frame[..(frame.Length / 2)], "Truncated"); break;
                case 3: (camera, outcome) = (null, "MissingCamera"); break;
                case 4: (headers, outcome) = ([("frame-timestamp", "yesterday")], "InvalidHeader"); break;
                case 5:
                    (frame, headers, outcome) = (Encoding.UTF8.GetBytes("{}"), [("content-type", "application/json")],
                    "UnsupportedFormat"); break;
                case 6: frame = png; break;
            }
            cluster.Produce(camera, frame, partition, headers);
            expected[(partition, next[partition]++)] = outcome;
        }
        cluster.Flush();
        return expected;
    }

    /// <summary>A cluster's settings of the client, for a service in a process of its own.</summary>
    private static string[] Clients(TestCluster cluster) =>
        [.. cluster.Options().Kafka.Client.Select(property => $"Kafka:Client:{property.Key}={property.Value}")];

    /// <summary>What the result topics say of each frame, by its place in the frames' topic.</summary>
    private static Dictionary<(int Partition, long Offset), List<string>> Outcomes(TestCluster cluster)
    {
        var outcomes = new Dictionary<(int, long), List<string>>();
        foreach (var record in cluster.ReadAll(TestCluster.Scores, TestCluster.DeadLetters))
        {
            (int, long) at;
            string outcome;
            if (record.Topic == TestCluster.Scores)
            {
                var score = JsonDocument.Parse(record.Message.Value).RootElement;
                at = (score.GetProperty("partition").GetInt32(), score.GetProperty("offset").GetInt64());
                outcome = score.GetProperty("status").GetString()!;
                Assert.Equal(record.Partition.Value, at.Item1);
            }
            else
            {
                at = (int.Parse(Header(record, "source.partition"), CultureInfo.InvariantCulture),
                    long.Parse(Header(record, "source.offset"), CultureInfo.InvariantCulture));
                outcome = Header(record, "error.reason");
            }
            if (!outcomes.TryGetValue(at, out var known)) outcomes[at] = known = [];
            known.Add(outcome);
        }
        return outcomes;
    }

    private static void AssertCommittedIsAccountedFor(TestCluster cluster)
    {
        var committed = cluster.Committed();
        var outcomes = Outcomes(cluster);
        foreach (var (partition, offset) in committed)
        {
            for (long i = 0; i < offset; i++)
                Assert.True(outcomes.ContainsKey((partition, i)),
                    $"partition {partition} is committed up to {offset}, but {i} has no result");
        }
    }

    private static string Header(ConsumeResult<string, byte[]> record, string name) =>
        Encoding.UTF8.GetString(record.Message.Headers.GetLastBytes(name));
}
