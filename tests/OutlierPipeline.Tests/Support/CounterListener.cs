using System.Diagnostics.Metrics;
using OutlierPipeline.Telemetry;

namespace OutlierPipeline.Tests.Support;

/// <summary>Sums what one of the product's counters counts.</summary>
internal sealed class CounterListener : IDisposable
{
    private readonly MeterListener _listener = new();
    private long _sum;

    public CounterListener(string instrument)
    {
        _listener.InstrumentPublished = (candidate, listener) =>
        {
            if (candidate.Meter.Name == PipelineTelemetry.Name && candidate.Name == instrument) listener.EnableMeasurementEvents(candidate);
        };
        _listener.SetMeasurementEventCallback<long>((_, value, _, _) => Interlocked.Add(ref _sum, value));
        _listener.Start();
    }

    public long Sum => Interlocked.Read(ref _sum);

    public void Dispose() => _listener.Dispose();
}
