using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using Confluent.Kafka;
using OutlierPipeline.Footage.Simulation;
using OutlierPipeline.IntegrationTests.Support;

namespace OutlierPipeline.IntegrationTests.Chaos;

/// <summary>
/// A camera for each partition, which goes into fog and out of it. The even ones are sent one by one, the odd ones in transactions, one of
/// five of which is aborted. Now and then comes what is no picture.
/// </summary>
internal sealed class Traffic(string servers, int partitions, int seed, Journal journal)
{
    /// <summary>Between two frames of a camera.</summary>
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(500);

    private static readonly byte[][] Street = SmallFrames.FullDrive(1, 40);
    private static readonly byte[][] Fog = SmallFrames.FullDrive(1, 40, Trouble.Fog);
    private readonly Random _random = new(seed);

    /// <summary>Frames that the brokers have acknowledged, those of aborted transactions not among them.</summary>
    public ConcurrentBag<(int Partition, long Offset)> Acknowledged { get; } = [];

    public int Aborted { get; private set; }

    /// <summary>Sends until it is stopped, and returns when all is acknowledged.</summary>
    public Task RunAsync(CancellationToken stop) => Task.WhenAll(
        Task.Run(() => SendAsync(stop), CancellationToken.None), Task.Run(() => SendInTransactionsAsync(stop), CancellationToken.None));

    private async Task SendAsync(CancellationToken stop)
    {
        // It waits for absent brokers for as long as it takes.
        using var producer = Build(new ProducerConfig { EnableIdempotence = true, MessageTimeoutMs = 0 });
        for (int i = 0; !stop.IsCancellationRequested; i++)
        {
            for (int partition = 0; partition < partitions; partition += 2)
            {
                producer.Produce(new TopicPartition(TestCluster.Frames, partition), Frame(partition, i), report =>
                {
                    if (report.Error.IsError) journal.Add($"a frame was not sent: {report.Error}");
                    else Acknowledged.Add((report.Partition.Value, report.Offset.Value));
                });
            }
            await Task.Delay(Interval, CancellationToken.None);
        }
        producer.Flush(TimeSpan.FromMinutes(1));
    }

    private async Task SendInTransactionsAsync(CancellationToken stop)
    {
        var producer = Build(new ProducerConfig { TransactionalId = "gateway" });
        try
        {
            bool hasBegun = false;
            for (int i = 0; !stop.IsCancellationRequested; i++)
            {
                try
                {
                    if (!hasBegun) Persist(() => producer.InitTransactions(TimeSpan.FromSeconds(5)));
                    hasBegun = true;
                    SendOne(producer, i);
                }
                catch (KafkaException e)
                {
                    // What is open is ended by the successor. What it was given to end, it may have ended either way.
                    journal.Add($"the sender's transaction failed: {e.Error}");
                    producer.Dispose();
                    producer = Build(new ProducerConfig { TransactionalId = "gateway" });
                    hasBegun = false;
                }
                await Task.Delay(Interval, CancellationToken.None);
            }
        }
        finally
        {
            producer.Dispose();
        }
    }

    private void SendOne(IProducer<string, byte[]> producer, int i)
    {
        var sent = new ConcurrentBag<(int, long)>();
        producer.BeginTransaction();
        for (int partition = 1; partition < partitions; partition += 2)
        {
            producer.Produce(new TopicPartition(TestCluster.Frames, partition), Frame(partition, i), report =>
            {
                if (!report.Error.IsError) sent.Add((report.Partition.Value, report.Offset.Value));
            });
        }
        bool isAborted = _random.Next(5) == 0;
        try
        {
            // What is aborted is with the brokers first.
            if (isAborted) producer.Flush(TimeSpan.FromSeconds(30));
            else Persist(() => producer.CommitTransaction(TimeSpan.FromSeconds(5)));
        }
        catch (KafkaTxnRequiresAbortException)
        {
            isAborted = true;
        }
        if (isAborted)
        {
            Persist(() => producer.AbortTransaction(TimeSpan.FromSeconds(5)));
            Aborted++;
        }
        else foreach (var frame in sent) Acknowledged.Add(frame);
    }

    private static void Persist(Action call)
    {
        while (true)
        {
            try
            {
                call();
                return;
            }
            catch (KafkaRetriableException)
            {
                Thread.Sleep(50);
            }
        }
    }

    private static Message<string, byte[]> Frame(int partition, int i)
    {
        // One camera after the other.
        int turn = (i + 7 * partition) % 100;
        byte[] picture = i % 25 == 24 ? Encoding.UTF8.GetBytes($"no picture {i}") : (turn is >= 40 and < 70 ? Fog : Street)[i % 40];
        long time = (DateTime.UtcNow - DateTime.UnixEpoch).Ticks * 100;
        return new()
        {
            Key = $"car-{partition}",
            Value = picture,
            Headers = [new Header("frame-timestamp", Encoding.UTF8.GetBytes(time.ToString(CultureInfo.InvariantCulture)))]
        };
    }

    private IProducer<string, byte[]> Build(ProducerConfig config)
    {
        config.BootstrapServers = servers;
        return new ProducerBuilder<string, byte[]>(config).SetLogHandler((_, _) => { }).SetErrorHandler((_, _) => { }).Build();
    }
}
