using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using OutlierPipeline.Telemetry;

namespace OutlierPipeline.IntegrationTests.Support;

/// <summary>
/// Sums the counters of the pipelines that this test started, by instrument, and by instrument and the value of a tag; times are counted
/// by the latter. The meter is the process's; whose a measurement is is told by the test from which its thread was started. The gauges are
/// of all pipelines together: who asks them belongs among <see cref="MeasuredTests"/>.
/// </summary>
internal sealed class MetricRecorder : IDisposable
{
    private readonly MeterListener _listener = new();
    private readonly string _test = Test() ?? throw new InvalidOperationException("not in a test");
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
            if (!instrument.IsObservable && Test() != _test) return;
            Add(instrument.Name, value);
            foreach (var tag in tags) Add($"{instrument.Name} {tag.Value}", value);
        });
        _listener.SetMeasurementEventCallback<double>((instrument, _, tags, _) =>
        {
            if (instrument.IsObservable || Test() != _test) return;
            foreach (var tag in tags) Add($"{instrument.Name} {tag.Value}", 1);
        });
        _listener.Start();
    }

    public long Sum(string name) => _sums.GetValueOrDefault(name);

    /// <summary>The largest value of a gauge, of those seen by <see cref="Observe"/>.</summary>
    public long Largest(string name) => _largest.GetValueOrDefault(name);

    /// <summary>Asks the gauges.</summary>
    public void Observe() => _listener.RecordObservableInstruments();

    public void Dispose() => _listener.Dispose();

    private static string? Test() => TestContext.Current.Test?.UniqueID;

    private void Add(string name, long value)
    {
        _sums.AddOrUpdate(name, value, (_, sum) => sum + value);
        _largest.AddOrUpdate(name, value, (_, largest) => Math.Max(largest, value));
    }
}
