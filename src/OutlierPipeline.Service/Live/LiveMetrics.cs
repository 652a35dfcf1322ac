using System.Diagnostics.Metrics;
using OutlierPipeline.Models;
using OutlierPipeline.Telemetry;

namespace OutlierPipeline.Service.Live;

/// <summary>The pipeline's figures as a page shows them.</summary>
/// <param name="FramesPerSecond">Scored, over the last five seconds.</param>
/// <param name="BatchSize">Mean of the last five seconds; null without a batch.</param>
/// <param name="Latencies">p50, p95, p99 from produced to acknowledged, in seconds, of the latest 2,000 frames; null without any.</param>
/// <param name="Lag">Records not yet read, over all partitions.</param>
internal sealed record LiveFigures(double FramesPerSecond, double? BatchSize, (double P50, double P95, double P99)? Latencies, long Lag,
    long InFlight, long Scored, long Skipped, long DeadLettered, long OpenIncidents, IReadOnlyList<double> FramesPerSecondHistory);

/// <summary>Sums the pipeline's own instruments for the dashboard, once a second.</summary>
internal sealed class LiveMetrics : IDisposable
{
    private const int Latest = 2000;
    private const int Window = 5;
    private const int History = 120;
    private readonly MeterListener _listener = new();
    private readonly Lock _gate = new();
    private readonly double[] _latencies = new double[Latest];
    private readonly Queue<(long Scored, long Batches, long Batched)> _seconds = new();
    private readonly Queue<double> _history = new();
    private readonly Timer _timer;
    private long _recorded;
    private long _scored;
    private long _skipped;
    private long _deadLettered;
    private long _batches;
    private long _batched;
    private (long Lag, long InFlight, long Incidents) _summing;
    private (long Lag, long InFlight, long Incidents) _gauges;

    public LiveMetrics()
    {
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Meter.Name == PipelineTelemetry.Name && instrument.Name is "outlier.frames.scored" or "outlier.frames.skipped"
                or "outlier.frames.dead_lettered" or "outlier.frame.latency" or "outlier.batch.size" or "outlier.consumer.lag"
                or "outlier.frames.in_flight" or "outlier.incidents.open")
                listener.EnableMeasurementEvents(instrument);
        };
        _listener.SetMeasurementEventCallback<long>(Count);
        _listener.SetMeasurementEventCallback<double>((_, value, _, _) =>
        {
            lock (_gate) _latencies[_recorded++ % Latest] = value;
        });
        _listener.Start();
        _timer = new Timer(_ => Tick(), null, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1));
    }

    public LiveFigures Figures()
    {
        lock (_gate)
        {
            var first = _seconds.Count > 0 ? _seconds.Peek() : default;
            long batches = _batches - first.Batches;
            double[] latencies = [.. _latencies.Take((int)Math.Min(_recorded, Latest)).Order()];
            return new LiveFigures(
                _history.Count > 0 ? _history.Last() : 0,
                batches > 0 ? (double)(_batched - first.Batched) / batches : null,
                latencies.Length == 0 ? null : (At(0.5), At(0.95), At(0.99)),
                _gauges.Lag, _gauges.InFlight, _scored, _skipped, _deadLettered, _gauges.Incidents, [.. _history]);

            double At(double quantile) => Quantiles.Of(latencies, quantile);
        }
    }

    public void Dispose()
    {
        _timer.Dispose();
        _listener.Dispose();
    }

    private void Count(Instrument instrument, long value, ReadOnlySpan<KeyValuePair<string, object?>> tags, object? state)
    {
        switch (instrument.Name)
        {
            case "outlier.frames.scored":
                Interlocked.Add(ref _scored, value);
                break;
            case "outlier.frames.skipped":
                Interlocked.Add(ref _skipped, value);
                break;
            case "outlier.frames.dead_lettered":
                Interlocked.Add(ref _deadLettered, value);
                break;
            case "outlier.batch.size":
                Interlocked.Increment(ref _batches);
                Interlocked.Add(ref _batched, value);
                break;
            // Gauges are asked for by Tick, which has set them to zero: the partitions' lags add up.
            case "outlier.consumer.lag":
                _summing.Lag += value;
                break;
            case "outlier.frames.in_flight":
                _summing.InFlight += value;
                break;
            case "outlier.incidents.open":
                _summing.Incidents += value;
                break;
        }
    }

    private void Tick()
    {
        // Outside the lock: gauges take locks of the pipeline's.
        _summing = default;
        _listener.RecordObservableInstruments();
        lock (_gate)
        {
            _gauges = _summing;
            if (_seconds.Count > Window) _seconds.Dequeue();
            if (_history.Count == History) _history.Dequeue();
            _history.Enqueue(_seconds.Count == 0 ? 0 : (double)(_scored - _seconds.Peek().Scored) / _seconds.Count);
            _seconds.Enqueue((_scored, _batches, _batched));
        }
    }
}
