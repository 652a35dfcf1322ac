using System.Diagnostics.Metrics;
using OutlierPipeline.Models;
using OutlierPipeline.Telemetry;

namespace OutlierPipeline.Benchmarks;

/// <summary>Listens to the pipeline's own histograms.</summary>
internal sealed class LatencyRecorder : IDisposable
{
    private readonly MeterListener _listener = new();
    private readonly List<double> _latencies = new(100_000);
    private readonly List<double> _infer = new(100_000);

    public LatencyRecorder()
    {
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Meter.Name == PipelineTelemetry.Name && instrument.Name is "outlier.frame.latency" or "outlier.stage.duration")
                listener.EnableMeasurementEvents(instrument);
        };
        _listener.SetMeasurementEventCallback<double>((instrument, value, tags, _) =>
        {
            var target = instrument.Name == "outlier.frame.latency" ? _latencies : (string?)tags[0].Value == "infer" ? _infer : null;
            if (target is null) return;
            lock (target) target.Add(value * 1000);
        });
        _listener.Start();
    }

    /// <summary>Frames whose scores are acknowledged.</summary>
    public int Count
    {
        get
        {
            lock (_latencies) return _latencies.Count;
        }
    }

    public void Wait(int frames)
    {
        while (Count < frames) Thread.Sleep(1);
    }

    /// <summary>Quantile in milliseconds, from produced to acknowledged.</summary>
    public double Latency(double quantile) => Quantile(_latencies, quantile);

    /// <summary>Quantile in milliseconds of a batch's inference.</summary>
    public double Infer(double quantile) => Quantile(_infer, quantile);

    public void Dispose() => _listener.Dispose();

    private static double Quantile(List<double> values, double quantile)
    {
        double[] ascending;
        lock (values) ascending = [.. values.Order()];
        return Quantiles.Of(ascending, quantile);
    }
}
