using System.Diagnostics;
using System.Globalization;
using OutlierPipeline.IntegrationTests.Support;
using OutlierPipeline.Pipeline;

namespace OutlierPipeline.IntegrationTests.Chaos;

/// <summary>
/// Two replicas of one group and three nodes of Apache Kafka, under load, and everything that may happen to them happens. In the end each
/// frame must have the result that it has where nothing happened. A minute of it belongs to every run of the tests, and
/// <c>./test.sh --chaos</c> is the long one.
/// </summary>
[Collection(MeasuredTests.Name)]
public sealed class ChaosTests
{
    private const int Partitions = 16;
    private const string Undisturbed = "undisturbed.";

    [Fact]
    public Task At_least_once_every_frame_and_every_alert_of_an_undisturbed_run_is_there() => RunAsync(Delivery.AtLeastOnce);

    [Fact]
    public Task Exactly_once_every_frame_and_every_alert_of_an_undisturbed_run_is_there_once() => RunAsync(Delivery.ExactlyOnce);

    [Fact]
    public Task Where_frames_expire_too_each_is_read_or_counted_as_lost() => RunAsync(Delivery.ExactlyOnce, expires: true);

    private static async Task RunAsync(Delivery delivery, bool expires = false)
    {
        var plan = ChaosPlan.FromEnvironment();
        string name = expires ? "Expiry" : $"{delivery}";
        var journal = new Journal(plan.Directory is null ? null : Path.Combine(plan.Directory, $"{name}-{plan.Seed}"));
        journal.Add($"{delivery}, OUTLIER_CHAOS_SEED={plan.Seed}: {plan.ReplicaKills} kills of replicas, {plan.NodeKills} of nodes");
        await using var kafka = await KafkaServer.StartAsync(3);
        await CreateTopicsAsync(kafka);
        using var cluster = new TestCluster(kafka, Partitions);
        using var files = new TestDirectory();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        var traffic = new Traffic(kafka.BootstrapServers, Partitions, plan.Seed, journal);
        var sending = traffic.RunAsync(stop.Token);

        // One keeps its name through every start, and the other is a new member each time.
        Replica[] replicas = [Start("outlier-0", "Kafka:InstanceId=outlier-0"), Start("other")];
        var disturber = new Disturber(plan, kafka, cluster, replicas, expires, journal);
        try
        {
            await disturber.UnderWayAsync();
            await disturber.RunAsync();
            await stop.CancelAsync();
            await sending;
            journal.Add("nothing happens any more");
            await UntilReadAsync(() => cluster.Committed(), cluster);
        }
        finally
        {
            foreach (var replica in replicas) await replica.DisposeAsync();
        }
        Assert.Empty(replicas.SelectMany(replica => replica.Faults));
        Assert.True(disturber.ReplicaKills + disturber.NodeKills > 0, "nothing was killed, so this test shows less than it should");
        var found = new Accounting(cluster, TestCluster.Scores, TestCluster.Alerts, TestCluster.DeadLetters);
        if (expires)
        {
            AssertReadOrLost(found, [.. traffic.Acknowledged], [.. replicas.SelectMany(replica => replica.Lost)], journal);
            return;
        }
        journal.Add("all is read; now the same without a disturbance");
        var frames = cluster.ReadAll(TestCluster.Frames).Select(frame => (frame.Partition.Value, frame.Offset.Value)).ToHashSet();
        await using (var undisturbed = new ServiceProcess(kafka.BootstrapServers, "Kafka:GroupId=undisturbed",
            $"Kafka:ScoresTopic={Undisturbed}{TestCluster.Scores}", $"Kafka:AlertsTopic={Undisturbed}{TestCluster.Alerts}",
            $"Kafka:StateTopic={Undisturbed}{TestCluster.State}", $"Kafka:DeadLetterTopic={Undisturbed}{TestCluster.DeadLetters}"))
            await UntilReadAsync(() => cluster.Committed("undisturbed"), cluster);

        var expected = new Accounting(cluster, Undisturbed + TestCluster.Scores, Undisturbed + TestCluster.Alerts,
            Undisturbed + TestCluster.DeadLetters);
        found.Compare(frames, expected);
        Report();
        foreach (string difference in found.Differences.Take(50)) journal.Add(difference);
        journal.Add($"the longest wait for a commit: {disturber.LongestWait.TotalSeconds:0.0} s; {traffic.Aborted} transactions of the " +
            $"sender aborted, {disturber.Elections} elections");
        Assert.All(traffic.Acknowledged, frame => Assert.Contains(frame, frames));
        Assert.True(expected.Scores + expected.Letters == frames.Count && expected.ScoresTwice == 0, "the undisturbed run is not sound");
        Assert.True(expected.Alerts >= Partitions / 2, $"{expected.Alerts} alerts show less than they should");
        Assert.Equal((0, 0), (found.Missing, found.Strange));
        Assert.Equal((0, 0), (found.AlertsMissing, found.AlertsStrange));
        Assert.InRange(found.LargestDifference, 0, 1e-4);
        if (delivery == Delivery.ExactlyOnce) Assert.Equal((0, 0, 0), (found.ScoresTwice, found.LettersTwice, found.AlertsTwice));

        Replica Start(string name, params string[] settings) => new(name, () => new ServiceProcess(kafka.BootstrapServers,
            [$"Kafka:Delivery={delivery}", $"Alerts:Database={files.File(name + ".db")}", .. settings]), journal);

        void Report()
        {
            (string Name, object Value)[] columns =
            [
                ("delivery", delivery), ("seed", plan.Seed), ("replicas killed", disturber.ReplicaKills),
                ("nodes killed", disturber.NodeKills), ("two at once", disturber.Outages), ("replicas halted", disturber.Sleeps),
                ("nodes halted", disturber.Hangs), ("stops", disturber.Stops),
                ("ended by themselves", replicas.Sum(replica => replica.OwnEnds)), ("frames", frames.Count), ("missing", found.Missing),
                ("scores twice", found.ScoresTwice), ("dead letters", found.Letters),
                ("alerts", found.Alerts), ("missing", found.AlertsMissing), ("twice", found.AlertsTwice),
                ("largest difference", found.LargestDifference.ToString("0.#e+0", CultureInfo.InvariantCulture)),
                ("longest without a score", $"{found.LongestSilence.TotalSeconds:0} s"),
            ];
            string heading = Row(columns.Select(column => column.Name)) + Row(columns.Select(_ => "---"));
            string row = Row(columns.Select(column => $"{column.Value}"));
            journal.Add(heading + row);
            if (plan.Directory is null) return;
            string table = Path.Combine(plan.Directory, "table.md");
            File.AppendAllText(table, (File.Exists(table) ? "" : heading) + row);
        }
    }

    private static void AssertReadOrLost(Accounting found, HashSet<(int Partition, long Offset)> sent,
        List<(int Partition, long From, long To)> lost, Journal journal)
    {
        var counted = sent.Where(frame => lost.Any(range => range.Partition == frame.Partition && range.From <= frame.Offset
            && frame.Offset < range.To)).ToHashSet();
        var read = sent.Where(found.Has).ToHashSet();
        int both = read.Intersect(counted).Count();
        journal.Add($"{sent.Count} frames sent, {read.Count} read, {counted.Count} counted as lost, {both} both");
        Assert.True(counted.Count > 0, "no frame expired before it was read, so this test shows less than it should");
        Assert.DoesNotContain(sent, frame => !read.Contains(frame) && !counted.Contains(frame));
        Assert.Equal(0, both);
        Assert.Equal((0, 0, 0), (found.ScoresTwice, found.LettersTwice, found.AlertsTwice));
    }

    private static string Row(IEnumerable<string> cells) => $"| {string.Join(" | ", cells)} |\n";

    private static async Task CreateTopicsAsync(KafkaServer kafka)
    {
        // Old states are taken out of the log while it is written and restored.
        var compacted = new Dictionary<string, string>
        {
            ["cleanup.policy"] = "compact",
            ["segment.ms"] = "10000",
            ["min.cleanable.dirty.ratio"] = "0.01"
        };
        await kafka.CreateTopicAsync(TestCluster.Frames, Partitions);
        foreach (string prefix in new[] { "", Undisturbed })
        {
            foreach (string topic in new[] { TestCluster.Scores, TestCluster.Alerts, TestCluster.DeadLetters })
                await kafka.CreateTopicAsync(prefix + topic, Partitions);
            await kafka.CreateTopicAsync(prefix + TestCluster.State, Partitions, compacted);
        }
    }

    /// <summary>Waits until all is read and committed, behind the last mark of a transaction.</summary>
    private static async Task UntilReadAsync(Func<Dictionary<int, long>> committed, TestCluster cluster)
    {
        var ends = cluster.Ends();
        var since = Stopwatch.StartNew();
        long before = 0;
        while (committed() is var read && ends.Any(end => read[end.Key] < end.Value))
        {
            if (read.Values.Sum() is var now && now != before) since.Restart();
            before = now;
            Assert.True(since.Elapsed < TimeSpan.FromMinutes(2), "reading stands still: " + string.Join(", ",
                ends.Select(end => $"{end.Key}: {read[end.Key]} of {end.Value}")));
            await Task.Delay(200);
        }
    }
}
