using System.Globalization;
using System.Text.RegularExpressions;
using Confluent.Kafka;
using OutlierPipeline.IntegrationTests.Support;

namespace OutlierPipeline.Benchmarks;

/// <summary>
/// <c>restore</c>: how long a service that starts reads the state of many cameras, from the first partition that it is given to the last
/// whose state is read.
/// </summary>
/// <remarks>
/// <c>ood.state</c> is made by <c>outlier check --create</c>. What hours of running leave of it is what compaction leaves: each camera's
/// latest state, some older ones, and what a partition's last segment holds, which is never compacted. So states of real cameras are
/// written, in turns, until every partition has begun several segments, and the broker has time to compact them. The service compresses
/// what it writes; with <c>--lz4</c> so does this, so well, since it repeats itself, that no segment is full and nothing is compacted.
/// </remarks>
internal static partial class Restore
{
    private const int Partitions = 16;

    /// <summary>Cameras whose states are written under many names: as many as are not in one batch of a producer.</summary>
    private const int Originals = 64;

    private const double MiB = 1 << 20;
    private static readonly TimeSpan Settling = TimeSpan.FromSeconds(20);

    public static async Task<int> RunAsync(string[] arguments)
    {
        if (KafkaServer.Missing is { } missing)
        {
            Console.Error.WriteLine(missing);
            return 2;
        }
        var compression = arguments.Contains("--lz4") ? CompressionType.Lz4 : CompressionType.None;
        int[] counts = [.. arguments.Except(["--lz4"]).Select(count => int.Parse(count, CultureInfo.InvariantCulture))];
        if (counts.Length == 0) counts = [10_000, 100_000];
        Console.WriteLine($"{Environment.ProcessorCount} cores, {Partitions} partitions");
        Console.WriteLine("| cameras | states written | log (MiB) | restored in (s) |");
        Console.WriteLine("| --- | --- | --- | --- |");
        foreach (int cameras in counts) await RunAsync(cameras, compression);
        return 0;
    }

    private static async Task RunAsync(int cameras, CompressionType compression)
    {
        await using var kafka = await KafkaServer.LaunchAsync([], [], []);
        var made = await Tool.OutlierAsync("check", "--bootstrap", kafka.BootstrapServers, "--create", "--partitions", $"{Partitions}");
        if (made.Code != 0) throw new InvalidOperationException(made.Output + made.Error);
        using var cluster = new TestCluster(kafka, Partitions);
        byte[][] states = await StatesAsync(cluster);
        long written = Write(kafka, cameras, states, compression);
        await Task.Delay(Settling);
        double size = kafka.BytesOf(TestCluster.State) / MiB;
        await using var service = new ServiceProcess(kafka.BootstrapServers, $"Kafka:MaxCameras={2 * cameras}");
        await service.Until(() => Restored().Count(service.Output) == Partitions, "all being restored");
        var time = Time(Restored().Matches(service.Output).Last()) - Time(Assigned().Match(service.Output));
        int read = Restored().Matches(service.Output).Sum(match =>
            int.Parse(match.Groups["cameras"].ValueSpan, CultureInfo.InvariantCulture));
        // Those whose states they are have been read too.
        if (read != cameras + Originals) throw new InvalidOperationException($"{read} cameras were restored of {cameras + Originals}");
        Console.WriteLine(FormattableString.Invariant($"| {cameras:#,0} | {written:#,0} | {size:0} | {time.TotalSeconds:0.0} |"));
    }

    /// <summary>Some cameras' states after a drive each.</summary>
    private static async Task<byte[][]> StatesAsync(TestCluster cluster)
    {
        byte[][] street = EndToEnd.Street();
        await using var service = new ServiceProcess(cluster.BootstrapServers);
        for (int camera = 0; camera < Originals; camera++)
            cluster.ProduceDrive($"original-{camera}", street[camera..(camera + 100)], camera % Partitions);
        await service.Until(() => cluster.Committed().Values.Sum() == Originals * 100, "the originals' frames");
        service.Signal(Signals.Terminate);
        await service.EndAsync();
        return [.. cluster.ReadAll(TestCluster.State).GroupBy(record => record.Message.Key)
            .Where(states => states.Key.StartsWith("original-", StringComparison.Ordinal)).Select(states => states.Last().Message.Value)];
    }

    /// <returns>How many records it took.</returns>
    private static long Write(KafkaServer kafka, int cameras, byte[][] states, CompressionType compression)
    {
        using var producer = new ProducerBuilder<string, byte[]>(new ProducerConfig
        {
            BootstrapServers = kafka.BootstrapServers,
            CompressionType = compression,
            QueueBufferingMaxMessages = 1_000_000,
        }).SetLogHandler((_, _) => { }).Build();
        // Three segments of 32 MiB of each partition, and each camera twice at least.
        double bytes = 3.0 * Partitions * 32 * MiB;
        long rounds = Math.Max(2, (long)(bytes / ((double)cameras * states.Average(state => state.Length))));
        for (long i = 0; i < rounds * cameras; i++)
        {
            long camera = i % cameras;
            var message = new Message<string, byte[]> { Key = $"car-{camera}", Value = states[i % states.Length] };
            while (true)
            {
                try
                {
                    producer.Produce(new TopicPartition(TestCluster.State, (int)(camera % Partitions)), message);
                    break;
                }
                catch (ProduceException<string, byte[]> e) when (e.Error.Code == ErrorCode.Local_QueueFull)
                {
                    producer.Poll(TimeSpan.FromMilliseconds(20));
                }
            }
        }
        producer.Flush(TimeSpan.FromMinutes(5));
        return rounds * cameras;
    }

    private static DateTime Time(Match line) => DateTime.Parse(line.Groups["time"].ValueSpan, CultureInfo.InvariantCulture,
        DateTimeStyles.AdjustToUniversal);

    [GeneratedRegex(@"^(?<time>\S+) .* is restored: the state of (?<cameras>\d+) cameras was read", RegexOptions.Multiline)]
    private static partial Regex Restored();

    [GeneratedRegex(@"^(?<time>\S+) .* is assigned from offset", RegexOptions.Multiline)]
    private static partial Regex Assigned();
}
