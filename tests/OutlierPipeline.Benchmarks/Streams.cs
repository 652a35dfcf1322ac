using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using OutlierPipeline.Alerts;
using OutlierPipeline.Detection;
using OutlierPipeline.Footage.Simulation;
using OutlierPipeline.Frames;
using OutlierPipeline.Inference;
using OutlierPipeline.Models;

namespace OutlierPipeline.Benchmarks;

/// <summary>
/// <c>streams</c>: drives of the simulated street at 10 frames/s, with a trouble that begins at a known frame or none; how long until the
/// incident is open, and how many open falsely. <c>--model M</c>: another package than the demo's.
/// </summary>
internal static class Streams
{
    private const int Drives = 100;
    private const int Onset = 40;
    private const int Frames = 70;
    private const double FramesPerSecond = 10;

    public static int Run(string[] arguments)
    {
        var package = ModelPackage.Load(arguments is ["--model", var model] ? model : EndToEnd.FindModel());
        using var engine = new InferenceEngine(package, new InferenceOptions(), NullLogger.Instance);
        using var batch = engine.CreateBatch(1);
        using var decoder = new FrameDecoder(package.Card.Network.Size, new FrameLimits());
        var options = new DetectionOptions();
        Trouble[] troubles = [.. Enum.GetValues<Trouble>().Where(trouble => trouble is not (Trouble.None or Trouble.Frozen))];
        var delays = new List<(Trouble Trouble, int? Delay)>();
        int early = 0;
        int falsely = 0;
        for (int drive = 0; drive < Drives; drive++)
        {
            var trouble = troubles[drive % troubles.Length];
            int? opened = Watch(5000 + drive, trouble, out bool before);
            if (before) early++;
            else delays.Add((trouble, opened));
            Watch(7000 + drive, Trouble.None, out _, () => falsely++);
        }
        double days = Drives * Frames / FramesPerSecond / 86400;
        Say($"{Drives} drives with a trouble from frame {Onset} on: delay in frames, median {Text(Quantile(delays, 0.5))}, 95 % " +
            $"{Text(Quantile(delays, 0.95))}; {delays.Count(delay => delay.Delay is null)} not found in {Frames - Onset} frames, {early} " +
            $"with a false incident before");
        foreach (var group in delays.GroupBy(delay => delay.Trouble)) Say($"  {group.Key,-10} median {Text(Quantile([.. group], 0.5))}, " +
            $"worst {Text(Quantile([.. group], 1))} ({group.Count()} drives)");
        Say($"{Drives} normal drives of {Frames / FramesPerSecond:0} s: {falsely} false incidents; the bound by FalseAlarmProbability " +
            $"{options.FalseAlarmProbability} is {options.FalseIncidentsPerCameraDay * days:0.0000} on average");
        return 0;

        int? Watch(int seed, Trouble trouble, out bool before, Action? opens = null)
        {
            using var camera = new StreetCamera(seed);
            var detector = new CameraDetector("camera", package, options);
            var alerts = new List<AlertStep>();
            int? opened = null;
            before = false;
            for (int i = 0; i < Frames; i++)
            {
                batch.DecodeHere(0, camera.Render(i / FramesPerSecond, i >= Onset ? trouble : Trouble.None), decoder);
                batch.Count = 1;
                batch.Run();
                var frame = new FrameRef("", 0, i, (long)((i + 1) * 1e9 / FramesPerSecond));
                bool isOpen = detector.Observe(new FrameObservation
                {
                    Frame = frame,
                    Scores = batch.Scores(0),
                    ErrorMap = batch.ErrorMap(0),
                    Pixels = batch.Pixels(0)
                }, alerts).IsOutlier;
                if (isOpen && i < Onset) before = true;
                if (isOpen && i >= Onset) opened ??= i - Onset;
            }
            foreach (var alert in alerts.Where(alert => opens is not null && alert.Type == AlertType.Opened))
            {
                Say($"  false incident, seed {seed}, frame {alert.Last.Offset}: {alert.Kind} by {alert.Test?.ToString() ?? "no test"}, " +
                    $"{alert.Reason}");
                opens!();
            }
            return opened;
        }
    }

    /// <summary>A drive without an incident counts as infinitely late.</summary>
    private static double Quantile(IReadOnlyList<(Trouble Trouble, int? Delay)> delays, double q)
    {
        double[] sorted = [.. delays.Select(delay => delay.Delay ?? double.PositiveInfinity).Order()];
        return Quantiles.Of(sorted, q);
    }

    private static string Text(double delay) => double.IsFinite(delay) ? delay.ToString("0", CultureInfo.InvariantCulture) : "not found";

    private static void Say(string text) => Console.WriteLine(text);
}
