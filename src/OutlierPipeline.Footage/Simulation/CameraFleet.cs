using System.Globalization;
using System.Text;
using Confluent.Kafka;
using OutlierPipeline.Frames;

namespace OutlierPipeline.Footage.Simulation;

/// <summary>Simulated cameras that send their frames to Kafka at a fixed rate, in the troubles of a script.</summary>
public sealed class CameraFleet : IDisposable
{
    private readonly IProducer<string, byte[]> _producer;
    private readonly string _topic;
    private readonly TroubleScript _script;
    private readonly double _framesPerSecond;
    private readonly TimeProvider _time;
    private readonly ISimulatedCamera[] _cameras;
    private readonly Dictionary<string, Trouble> _current;
    private long _sent;

    /// <param name="client">librdkafka properties, <c>bootstrap.servers</c> among them.</param>
    /// <param name="framesPerSecond">Of each camera.</param>
    /// <param name="cameras">Makes the camera of each index of the script's.</param>
    public CameraFleet(IReadOnlyDictionary<string, string> client, string topic, TroubleScript script, double framesPerSecond,
        Func<int, ISimulatedCamera> cameras, TimeProvider? time = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(framesPerSecond, 0);
        var config = new ProducerConfig(new Dictionary<string, string>(client)) { EnableIdempotence = true, LingerMs = 2 };
        _producer = new ProducerBuilder<string, byte[]>(config).SetLogHandler((_, _) => { }).SetErrorHandler((_, error) =>
            Failed(error.Reason)).Build();
        _topic = topic;
        _script = script;
        _framesPerSecond = framesPerSecond;
        _time = time ?? TimeProvider.System;
        _cameras = [.. script.Cameras.Select((_, i) => cameras(i))];
        _current = script.Cameras.ToDictionary(camera => camera, _ => Trouble.None);
    }

    /// <summary>Frames that the broker has acknowledged.</summary>
    public long Sent => Interlocked.Read(ref _sent);

    /// <summary>A camera's trouble begins, or ends (<see cref="Trouble.None"/>): the ground truth.</summary>
    public Action<TimeSpan, string, Trouble> Changed { get; set; } = (_, _, _) => { };

    /// <summary>The broker said no; librdkafka tries again by itself.</summary>
    public Action<string> Failed { get; set; } = _ => { };

    /// <summary>Sends until cancelled. A frame that comes too late to be sent in time is left out, as a camera would.</summary>
    public async Task RunAsync(CancellationToken cancellation)
    {
        long begun = _time.GetTimestamp();
        var period = TimeSpan.FromSeconds(1 / _framesPerSecond);
        using var timer = new PeriodicTimer(period / _cameras.Length, _time);
        // The cameras take turns, since real ones are not in step either.
        var due = _cameras.Select((_, i) => period * i / _cameras.Length).ToArray();
        try
        {
            while (await timer.WaitForNextTickAsync(cancellation))
            {
                var now = _time.GetElapsedTime(begun);
                for (int i = 0; i < _cameras.Length; i++)
                {
                    if (due[i] > now) continue;
                    Send(i, now);
                    due[i] += period;
                    if (due[i] < now - period) due[i] = now;
                }
            }
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            await Task.Run(() => _producer.Flush(TimeSpan.FromSeconds(5)), CancellationToken.None);
        }
    }

    public void Dispose()
    {
        _producer.Dispose();
        foreach (var camera in _cameras) camera.Dispose();
    }

    private void Send(int index, TimeSpan now)
    {
        string camera = _script.Cameras[index];
        var (trouble, strength) = _script.At(camera, now);
        if (_current[camera] != trouble) Changed(now, camera, trouble);
        _current[camera] = trouble;
        byte[] frame = _cameras[index].Render(now.TotalSeconds, trouble, strength);
        long nanoseconds = UnixNanoseconds.Of(_time.GetUtcNow());
        var message = new Message<string, byte[]>
        {
            Key = camera,
            Value = frame,
            // The format is told from the first bytes.
            Headers = [new Header("frame-timestamp", Encoding.ASCII.GetBytes(nanoseconds.ToString(CultureInfo.InvariantCulture)))],
        };
        _producer.Produce(_topic, message, report =>
        {
            if (report.Error.IsError) Failed(report.Error.Reason);
            else Interlocked.Increment(ref _sent);
        });
    }
}
