using System.Diagnostics.Metrics;
using System.Globalization;
using OutlierPipeline.Alerts;
using OutlierPipeline.Footage.Simulation;
using OutlierPipeline.Models;
using OutlierPipeline.Telemetry;
using Spectre.Console;

namespace OutlierPipeline.Service;

/// <summary>Counts what the demo did, from the pipeline's own instruments.</summary>
internal sealed class DemoTally : IDisposable
{
    private readonly MeterListener _listener = new();
    private readonly long _begun = TimeProvider.System.GetTimestamp();
    private readonly Lock _gate = new();
    private readonly List<double> _latencies = [];
    private readonly List<AlertStep> _alerts = [];
    private long _scored;
    private long _deadLettered;

    public DemoTally()
    {
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Meter.Name == PipelineTelemetry.Name && instrument.Name is "outlier.frames.scored"
                or "outlier.frames.dead_lettered" or "outlier.frame.latency") listener.EnableMeasurementEvents(instrument);
        };
        _listener.SetMeasurementEventCallback<long>((instrument, value, _, _) =>
        {
            if (instrument.Name == "outlier.frames.scored") Interlocked.Add(ref _scored, value);
            else Interlocked.Add(ref _deadLettered, value);
        });
        _listener.SetMeasurementEventCallback<double>((_, value, _, _) =>
        {
            lock (_gate) _latencies.Add(value);
        });
        _listener.Start();
    }

    public TimeSpan Elapsed => TimeProvider.System.GetElapsedTime(_begun);

    /// <summary>Frames scored or dead-lettered, their results acknowledged.</summary>
    public long Done
    {
        get
        {
            lock (_gate) return _latencies.Count + Interlocked.Read(ref _deadLettered);
        }
    }

    public void Count(AlertStep alert)
    {
        lock (_gate) _alerts.Add(alert);
    }

    /// <summary>The tables at the end: cameras with their troubles and alerts, and the figures.</summary>
    /// <param name="sent">Frames that the cameras have sent.</param>
    public void Print(long sent, TroubleScript script)
    {
        lock (_gate)
        {
            var cameras = new Table().AddColumns("camera", "troubles so far", "alerts opened", "kinds");
            foreach (string camera in script.Cameras.Concat(_alerts.Select(alert => alert.Camera).Except(script.Cameras)))
            {
                var troubles = script.Spans.Where(span => span.Camera == camera && span.From < Elapsed).Select(span => span.Trouble);
                var opened = _alerts.Where(alert => alert.Camera == camera && alert.Type == AlertType.Opened).ToArray();
                cameras.AddRow(Markup.Escape(camera), string.Join(", ", troubles), opened.Length.ToString(CultureInfo.InvariantCulture),
                    string.Join(", ", opened.Select(alert => alert.Kind.ToString().ToLowerInvariant())));
            }
            AnsiConsole.WriteLine();
            AnsiConsole.Write(cameras);
            double[] latencies = [.. _latencies.Order()];
            var table = new Table().AddColumns("frames in", "scored", "dead-lettered", "alerts", "p50", "p95", "p99");
            table.AddRow(Text(sent), Text(_scored), Text(_deadLettered), Text(_alerts.Count), Milliseconds(latencies, 0.5),
                Milliseconds(latencies, 0.95), Milliseconds(latencies, 0.99));
            AnsiConsole.Write(table);
            AnsiConsole.MarkupLine(
                "[dim]alerts: opened, escalated and closed; p50, p95, p99: from produced to score acknowledged by the broker[/]");
        }
    }

    public void Dispose() => _listener.Dispose();

    private static string Text(long value) => value.ToString(CultureInfo.InvariantCulture);

    private static string Milliseconds(double[] ascending, double quantile) =>
        ascending.Length == 0
        ? "-"
        : string.Create(CultureInfo.InvariantCulture, $"{1000 * Quantiles.Of(ascending, quantile):0} ms");
}
