using System.Diagnostics;
using Confluent.Kafka;
using OutlierPipeline.IntegrationTests.Support;

namespace OutlierPipeline.IntegrationTests.Chaos;

/// <summary>Kills, halts and stops replicas and nodes, one thing after the other, by a seed.</summary>
/// <param name="expires">Whether frames are removed too that nobody has read.</param>
internal sealed class Disturber(ChaosPlan plan, KafkaServer kafka, TestCluster cluster, Replica[] replicas, bool expires, Journal journal)
{
    private readonly Random _random = new(plan.Seed);

    public int ReplicaKills { get; private set; }

    public int NodeKills { get; private set; }

    /// <summary>How often two nodes were away at once: no partition could be written meanwhile.</summary>
    public int Outages { get; private set; }

    /// <summary>Replicas that were halted for a while.</summary>
    public int Sleeps { get; private set; }

    /// <summary>Nodes that were halted for a while.</summary>
    public int Hangs { get; private set; }

    /// <summary>Replicas that were asked to end.</summary>
    public int Stops { get; private set; }

    /// <summary>How often partitions' leaders were sent back to the nodes that they prefer.</summary>
    public int Elections { get; private set; }

    /// <summary>The longest time that a commit was waited for, with all nodes there.</summary>
    public TimeSpan LongestWait { get; private set; }

    public async Task RunAsync()
    {
        var clock = Stopwatch.StartNew();
        for (int round = 0; (ReplicaKills < plan.ReplicaKills || NodeKills < plan.NodeKills) && clock.Elapsed < plan.Limit; round++)
        {
            // Mostly it is under way again when the next comes, and sometimes still getting up.
            if (_random.Next(4) > 0) await UnderWayAsync();
            await PauseAsync(0, 2);
            if (expires && round % 3 == 0) await ExpireAsync();
            int left = plan.ReplicaKills - ReplicaKills + plan.NodeKills - NodeKills;
            int draw = _random.Next(100);
            if (draw < 10) await SleepAsync();
            else if (draw < 16) Stop();
            else if (draw < 20) await HangAsync();
            else if (_random.Next(left) < plan.NodeKills - NodeKills) await LoseNodesAsync();
            else KillReplica();
        }
    }

    /// <summary>Waits until something is committed.</summary>
    public async Task UnderWayAsync()
    {
        long before = Committed();
        var begun = Stopwatch.StartNew();
        while (Committed() <= before)
        {
            // A machine that has no time for it is not what this looks for.
            Assert.True(begun.Elapsed < TimeSpan.FromMinutes(10), "nothing was committed for ten minutes, with all nodes there");
            await Task.Delay(100);
        }
        if (begun.Elapsed > LongestWait) LongestWait = begun.Elapsed;
    }

    private void KillReplica()
    {
        // Sometimes both.
        foreach (var replica in _random.Next(8) == 0 ? replicas : [Any()])
        {
            if (ReplicaKills == plan.ReplicaKills || !replica.End(Signals.End, Time(0, 2))) continue;
            ReplicaKills++;
            journal.Add($"{replica.Name} is killed ({ReplicaKills} of {plan.ReplicaKills})");
        }
    }

    private void Stop()
    {
        var replica = Any();
        if (!replica.End(Signals.Terminate, Time(0, 2))) return;
        Stops++;
        journal.Add($"{replica.Name} is asked to end");
    }

    private async Task SleepAsync()
    {
        var (replica, time) = (Any(), Time(1, 12));
        journal.Add($"{replica.Name} is halted for {time.TotalSeconds:0.0} s");
        if (await replica.SleepAsync(time)) Sleeps++;
    }

    private async Task HangAsync()
    {
        var (node, time) = (_random.Next(kafka.Nodes) + 1, Time(1, 8));
        journal.Add($"node {node} is halted for {time.TotalSeconds:0.0} s");
        kafka.Signal(Signals.Stop, node);
        await Task.Delay(time);
        kafka.Signal(Signals.Continue, node);
        Hangs++;
    }

    private async Task LoseNodesAsync()
    {
        // A partition whose copies are behind would lose what Kafka does not promise to keep.
        await kafka.UntilInSyncAsync();
        int count = _random.Next(4) == 0 ? Math.Min(2, plan.NodeKills - NodeKills) : 1;
        int first = _random.Next(kafka.Nodes);
        int[] nodes = [.. Enumerable.Range(first, count).Select(node => node % kafka.Nodes + 1)];
        foreach (int node in nodes) await kafka.KillAsync(node);
        NodeKills += count;
        if (count > 1) Outages++;
        journal.Add($"{(count > 1 ? "nodes" : "node")} {string.Join(" and ", nodes)} killed ({NodeKills} of {plan.NodeKills})");
        await PauseAsync(0, 4);
        if (_random.Next(2) == 0) KillReplica();
        await PauseAsync(0, 4);
        await Task.WhenAll(nodes.Select(node => kafka.ReviveAsync(node)));
        journal.Add("all nodes are there again");
        if (_random.Next(2) > 0) return;
        await kafka.UntilInSyncAsync();
        await kafka.ElectAsync();
        Elections++;
        journal.Add("the partitions are led by the nodes that they prefer");
    }

    /// <summary>What has come since both replicas were halted is removed from half of the partitions, all or nearly all of it.</summary>
    private async Task ExpireAsync()
    {
        var time = Time(2, 5);
        var asleep = Task.WhenAll(replicas.Select(replica => replica.SleepAsync(time)));
        await Task.Delay(0.8 * time);
        try
        {
            foreach (var (partition, end) in cluster.Ends())
                if (_random.Next(2) == 0) await kafka.ExpireAsync(partition, Math.Max(0, end - _random.Next(3)));
            journal.Add($"both are halted for {time.TotalSeconds:0.0} s, and frames expire");
        }
        catch (KafkaException e)
        {
            // A partition is between two leaders.
            journal.Add($"frames did not expire: {e.Error.Reason}");
        }
        await asleep;
    }

    private long Committed() => cluster.Committed().Values.Sum(offset => Math.Max(0, offset));

    private Replica Any() => replicas[_random.Next(replicas.Length)];

    private Task PauseAsync(double from, double to) => Task.Delay(Time(from, to));

    private TimeSpan Time(double from, double to) => TimeSpan.FromSeconds(from + (to - from) * _random.NextDouble());
}
