using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Confluent.Kafka;
using OutlierPipeline.Frames;
using OutlierPipeline.Models;

namespace OutlierPipeline.Cli.Benchmark;

/// <summary>What a number of cameras did to a service.</summary>
/// <param name="SentPerSecond">Acknowledged by the broker.</param>
/// <param name="P50Milliseconds">From produced to read from the topic of scores.</param>
/// <param name="Lag">Frames that the group had not committed when the step ended, before it could catch up.</param>
/// <param name="ProcessorMilliseconds">Of the service, a frame, of all cores.</param>
/// <param name="KeepsUp">Whether 98 % of the frames were scored as fast as they came, one on its way for each camera apart, and none was
/// skipped.</param>
internal sealed record LoadStep(int Cameras, double FramesPerSecondAndCamera, double SentPerSecond, double ScoredPerSecond,
    double P50Milliseconds, double P99Milliseconds, long Skipped, long Lag, double? ProcessorMilliseconds, bool KeepsUp);

/// <summary>Sends frames of many cameras at a fixed rate, and reads their scores.</summary>
internal sealed class LoadGenerator : IDisposable
{
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(15);
    private readonly IProducer<string, byte[]> _producer;
    private readonly IConsumer<string, byte[]> _scores;
    private readonly IConsumer<string, byte[]> _group;
    private readonly string _topic;
    private readonly byte[][] _pictures;
    private readonly Process? _service;
    private readonly string _run = Guid.NewGuid().ToString("N")[..8];
    private readonly TopicPartition[] _partitions;
    private long _acknowledged;
    private string? _fault;

    /// <exception cref="CommandException">The broker does not answer, or a topic is not there.</exception>
    public LoadGenerator(Dictionary<string, string> client, string topic, string scores, string group, byte[][] pictures, int? service)
    {
        _topic = topic;
        _pictures = pictures;
        var producer = new ProducerConfig(client) { LingerMs = 2, EnableIdempotence = true };
        if (!client.ContainsKey("queue.buffering.max.messages")) producer.QueueBufferingMaxMessages = 1_000_000;
        _producer = new ProducerBuilder<string, byte[]>(producer).SetLogHandler((_, _) => { }).SetErrorHandler((_, error) =>
            _fault = error.Reason).Build();
        // Scores are read without a group: nothing is committed, and nobody's assignment changes.
        var reader = new ConsumerConfig(client)
        {
            GroupId = "outlier-load",
            EnableAutoCommit = false,
            AutoOffsetReset = AutoOffsetReset.Latest,
            FetchWaitMaxMs = 5
        };
        _scores = new ConsumerBuilder<string, byte[]>(reader).SetLogHandler((_, _) => { }).SetErrorHandler((_, error) =>
            _fault = error.Reason).Build();
        _group = new ConsumerBuilder<string, byte[]>(new ConsumerConfig(client) { GroupId = group, EnableAutoCommit = false })
            .SetLogHandler((_, _) => { }).SetErrorHandler((_, error) => _fault = error.Reason).Build();
        using var admin = new DependentAdminClientBuilder(_producer.Handle).Build();
        _partitions = Partitions(topic);
        _scores.Assign(Partitions(scores).Select(partition =>
            new TopicPartitionOffset(partition, _scores.QueryWatermarkOffsets(partition, Timeout).High)));
        try
        {
            _service = service is { } id ? Process.GetProcessById(id) : null;
        }
        catch (ArgumentException e)
        {
            throw new CommandException($"--process {service}: {e.Message}");
        }

        TopicPartition[] Partitions(string name)
        {
            var found = admin.GetMetadata(name, Timeout).Topics.Single();
            if (found.Error.IsError) throw new CommandException($"{name}: {found.Error.Reason}: start the service first");
            return [.. found.Partitions.Select(partition => new TopicPartition(name, partition.PartitionId))];
        }
    }

    public async Task<LoadStep> RunAsync(int cameras, double framesPerSecond, TimeSpan duration, CancellationToken cancellation)
    {
        var warm = duration / 3;
        var measured = duration - warm;
        string prefix = $"load-{_run}-{cameras}-";
        string[] names = [.. Enumerable.Range(0, cameras).Select(i => string.Create(CultureInfo.InvariantCulture, $"{prefix}{i:0000}"))];
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var latencies = new ConcurrentQueue<double>();
        long skipped = 0;
        long begunAt = Nanoseconds();
        long from = begunAt + UnixNanoseconds.Of(warm);
        long until = begunAt + UnixNanoseconds.Of(duration);
        var reading = Task.Factory.StartNew(Read, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        var begun = Stopwatch.StartNew();
        long sent = 0;
        long acknowledgedBefore = 0;
        var processorBefore = TimeSpan.Zero;
        double rate = cameras * framesPerSecond;
        bool isWarm = false;
        // Cameras take turns, since real ones are not in step.
        while (begun.Elapsed < duration)
        {
            cancellation.ThrowIfCancellationRequested();
            if (!isWarm && begun.Elapsed >= warm)
            {
                isWarm = true;
                acknowledgedBefore = Interlocked.Read(ref _acknowledged);
                processorBefore = ProcessorTime();
            }
            for (long due = (long)(begun.Elapsed.TotalSeconds * rate); sent < due; sent++)
                Send(names[sent % cameras], (int)((sent / cameras + sent % cameras) % _pictures.Length));
            await Task.Delay(1, cancellation);
        }
        var processor = ProcessorTime() - processorBefore;
        double sentRate = (Interlocked.Read(ref _acknowledged) - acknowledgedBefore) / measured.TotalSeconds;
        long lag = Lag();
        int inTime = latencies.Count;
        // What is late is waited for, so that the next step begins with an empty queue.
        var waiting = Stopwatch.StartNew();
        for (int before = -1; waiting.Elapsed < duration * 2
            && latencies.Count + Interlocked.Read(ref skipped) < rate * measured.TotalSeconds * 0.999 && before != latencies.Count;)
        {
            before = latencies.Count;
            await Task.Delay(1000, cancellation);
        }
        await ending.CancelAsync();
        await reading;
        if (latencies.IsEmpty && _fault is not null) throw new CommandException(_fault);
        double[] ascending = latencies.IsEmpty ? [0] : [.. latencies.Order()];
        double scoredRate = inTime / measured.TotalSeconds;
        double expected = Math.Max(sentRate, rate * 0.9) * measured.TotalSeconds;
        // A frame of each camera may be on its way at the end: in a short step that is more than 2 %.
        double late = Math.Max(0.02 * expected, cameras);
        return new LoadStep(cameras, framesPerSecond, sentRate, scoredRate, Quantiles.Of(ascending, 0.5),
            Quantiles.Of(ascending, 0.99), skipped,
            lag, _service is null ? null : processor.TotalMilliseconds / Math.Max(1, inTime), skipped == 0 && inTime >= expected - late);

        void Read()
        {
            while (!ending.IsCancellationRequested)
            {
                var record = _scores.Consume(100);
                if (record?.Message?.Value is null || !record.Message.Key.StartsWith(prefix, StringComparison.Ordinal)) continue;
                long now = Nanoseconds();
                using var json = JsonDocument.Parse(record.Message.Value);
                var time = DateTimeOffset.Parse(json.RootElement.GetProperty("timestamp").GetString()!, CultureInfo.InvariantCulture);
                long produced = UnixNanoseconds.Of(time);
                if (produced < from || produced >= until) continue;
                if (json.RootElement.GetProperty("status").GetString() == "skipped") Interlocked.Increment(ref skipped);
                else latencies.Enqueue((now - produced) / 1e6);
            }
        }
    }

    public void Dispose()
    {
        _producer.Dispose();
        _scores.Dispose();
        _group.Dispose();
        _service?.Dispose();
    }

    private static long Nanoseconds() => UnixNanoseconds.Of(DateTimeOffset.UtcNow);

    private TimeSpan ProcessorTime()
    {
        _service?.Refresh();
        return _service is null || _service.HasExited ? TimeSpan.Zero : _service.TotalProcessorTime;
    }

    /// <summary>Frames beyond what the group has committed.</summary>
    private long Lag() => _group.Committed(_partitions, Timeout).Sum(committed =>
    {
        var marks = _group.QueryWatermarkOffsets(committed.TopicPartition, Timeout);
        return marks.High.Value - (committed.Offset.IsSpecial ? marks.Low.Value : committed.Offset.Value);
    });

    private void Send(string camera, int picture)
    {
        var message = new Message<string, byte[]>
        {
            Key = camera,
            Value = _pictures[picture],
            Headers = [new Header("frame-timestamp", Encoding.ASCII.GetBytes(Nanoseconds().ToString(CultureInfo.InvariantCulture)))],
        };
        _producer.Produce(_topic, message, report =>
        {
            if (report.Error.IsError) _fault = report.Error.Reason;
            else Interlocked.Increment(ref _acknowledged);
        });
    }
}
