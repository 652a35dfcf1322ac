using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Confluent.Kafka;
using OutlierPipeline.Footage.Simulation;
using OutlierPipeline.Frames;
using OutlierPipeline.IntegrationTests.Support;

namespace OutlierPipeline.Benchmarks.Soak;

/// <summary>
/// Cameras that send as fast as the service scores: <see cref="Window"/> frames of each are on their way, and a frame is sent for each that
/// comes back. One camera after the other goes into fog and out of it.
/// </summary>
internal sealed class SoakTraffic : IDisposable
{
    /// <summary>Frames of one camera that are sent and not scored: more than one batch of all cameras, less than the service holds.
    /// </summary>
    public const int Window = 32;

    /// <summary>How often a camera goes into fog, in seconds, and for how long.</summary>
    private const double FogEvery = 300;
    private const double FogFor = 30;

    private static readonly byte[][] Street = EndToEnd.Street();
    private static readonly byte[][] Fog = EndToEnd.Street(Trouble.Fog);
    private readonly IProducer<string, byte[]> _producer;
    private readonly IConsumer<string, byte[]> _results;
    private readonly SemaphoreSlim _room;
    private readonly int _partitions;
    private readonly int _cameras;
    private readonly CancellationTokenSource _stop = new();
    private ConcurrentQueue<double> _latencies = new();

    public SoakTraffic(string servers, int partitions, int cameras)
    {
        (_partitions, _cameras, _room) = (partitions, cameras, new SemaphoreSlim(Window * cameras));
        _producer = new ProducerBuilder<string, byte[]>(new ProducerConfig { BootstrapServers = servers, LingerMs = 2 })
            .SetLogHandler((_, _) => { }).SetErrorHandler((_, _) => { }).Build();
        _results = new ConsumerBuilder<string, byte[]>(new ConsumerConfig
        {
            BootstrapServers = servers,
            GroupId = "soak",
            EnableAutoCommit = false,
            AutoOffsetReset = AutoOffsetReset.Error,
            FetchWaitMaxMs = 5
        }).SetLogHandler((_, _) => { }).SetErrorHandler((_, _) => { }).Build();
        _results.Assign(new[] { TestCluster.Scores, TestCluster.DeadLetters }.SelectMany(topic => Enumerable.Range(0, partitions)
            .Select(partition => new TopicPartitionOffset(topic, partition, Offset.Beginning))));
    }

    /// <summary>Frames that were not scored.</summary>
    public long DeadLetters { get; private set; }

    /// <summary>Sends and reads until <see cref="Stop"/>.</summary>
    public Task RunAsync() => Task.WhenAll(
        Task.Factory.StartNew(Send, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default),
        Task.Factory.StartNew(Read, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default));

    public void Stop() => _stop.Cancel();

    /// <summary>The latencies since the last call, in milliseconds, in ascending order.</summary>
    public double[] Take() => [.. Interlocked.Exchange(ref _latencies, new()).Order()];

    public void Dispose()
    {
        _producer.Dispose();
        _results.Dispose();
        _room.Dispose();
        _stop.Dispose();
    }

    private void Send()
    {
        var begun = Stopwatch.StartNew();
        for (long i = 0; !_stop.IsCancellationRequested; i++)
        {
            while (!_room.Wait(200))
            {
                if (_stop.IsCancellationRequested) return;
            }
            int camera = (int)(i % _cameras);
            // One after the other, the first in the middle of its time.
            double phase = (begun.Elapsed.TotalSeconds + FogEvery * camera / _cameras) % FogEvery;
            byte[][] street = phase is >= FogEvery / 2 and < FogEvery / 2 + FogFor ? Fog : Street;
            long now = UnixNanoseconds.Of(DateTimeOffset.UtcNow);
            _producer.Produce(new TopicPartition(TestCluster.Frames, camera % _partitions), new Message<string, byte[]>
            {
                Key = $"car-{camera}",
                Value = street[(i / _cameras + 17 * camera) % street.Length],
                Headers = [new Header("frame-timestamp", Encoding.ASCII.GetBytes(now.ToString(CultureInfo.InvariantCulture)))],
            });
        }
    }

    private void Read()
    {
        while (!_stop.IsCancellationRequested)
        {
            if (_results.Consume(200) is not { } record) continue;
            if (record.Topic == TestCluster.DeadLetters) DeadLetters++;
            else
            {
                using var json = JsonDocument.Parse(record.Message.Value);
                var produced = DateTimeOffset.Parse(json.RootElement.GetProperty("timestamp").GetString()!, CultureInfo.InvariantCulture);
                _latencies.Enqueue((DateTimeOffset.UtcNow - produced).TotalMilliseconds);
            }
            _room.Release();
        }
    }
}
