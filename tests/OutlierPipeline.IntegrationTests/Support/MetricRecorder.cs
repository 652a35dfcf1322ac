using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using OutlierPipeline.Telemetry;

namespace OutlierPipeline.IntegrationTests.Support;

/// <summary>Sums the pipeline's counters by instrument, and by instrument and the value of a tag.</summary>
internal sealed class MetricRecorder : IDisposable
{
    private readonly MeterListener _listener = new();
    private readonly ConcurrentDictionary<string, long> _sums = new();
    private readonly ConcurrentDictionary<string, long> _largest = new();

    public MetricRecorder()
    {
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Meter.Name == PipelineTelemetry.Name) listener.EnableMeasurementEvents(instrument);
        };
        _listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) =>
        {
            Add(instrument.Name, value);
            foreach (var tag in tags) Add($"{instrument.Name} {tag.Value}", value);
        });
        _listener.Start();
    }

    public long Sum(string name) => _sums.GetValueOrDefault(name);

    /// <summary>The largest value of a gauge, of those seen by <see cref="Observe"/>.</summary>
    public long Largest(string name) => _largest.GetValueOrDefault(name);

    /// <summary>Asks the gauges.</summary>
    public void Observe() => _listener.RecordObservableInstruments();

    public void Dispose() => _listener.Dispose();

    private void Add(string name, long value)
    {
        _sums.AddOrUpdate(name, value, (_, sum) => sum + value);
        _largest.AddOrUpdate(name, value, (_, largest) => Math.Max(largest, value));
    }
}
