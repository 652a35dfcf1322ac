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
/// <c>level MODEL</c>: drives of the simulated street with a trouble from their first frame on, one frame a second; how long until the
/// incident is open, with the level as the package has it and calibrated on other drives' scores.
/// </summary>
internal static class LevelDelays
{
    private const int GatheredSeed = 20_000;
    private const int NormalSeed = 30_000;
    private const int TroubleSeed = 40_000;
    private const int GatheredFrames = 60;
    private const int NormalDrives = 60;
    private const int NormalFrames = 120;
    private const int TroubleDrives = 10;
    private const int TroubleFrames = 120;
    private static readonly int[] Gathered = [40, 100];

    public static int Run(string model)
    {
        var package = ModelPackage.Load(model);
        var options = new DetectionOptions { Obstructions = false };
        using var engine = new InferenceEngine(package, new InferenceOptions(), NullLogger.Instance);
        using var batch = engine.CreateBatch(1);
        using var decoder = new FrameDecoder(package.Card.Network.Size, new FrameLimits());
        var before = package.Default.Calibration;
        var gathering = new Detection.NormalDrives(before, options.DriveGap);
        var drives = new List<NormalDrive>();
        for (int i = 0; drives.Count < Gathered[^1]; i++)
        {
            float[][] rows = Scored(GatheredSeed + i, Trouble.None, GatheredFrames);
            for (int k = 0; k < rows.Length; k++) gathering.Add("car", k * 1_000_000_000L, rows[k], false);
            drives.AddRange(gathering.Close());
        }
        float[][][] normal = [.. Enumerable.Range(0, NormalDrives).Select(i => Scored(NormalSeed + i, Trouble.None, NormalFrames))];
        Trouble[] troubles = [.. Enum.GetValues<Trouble>().Where(trouble => trouble is not (Trouble.None or Trouble.Frozen))];
        var strange = troubles.ToDictionary(trouble => trouble, trouble =>
            Enumerable.Range(0, TroubleDrives).Select(i => Scored(TroubleSeed + i, trouble, TroubleFrames)).ToArray());
        Console.WriteLine($"{gathering.StrangeDrives} drives were left out as strange");
        Report($"as the package is ({before.Origin ?? "does not say"}, {before.Frames} frames)");
        foreach (int count in Gathered)
        {
            var after = DeploymentFit.Fit(before, [.. drives.Take(count)], options.FalseAlarmProbability);
            package.TakeOver(after);
            Report($"{count} normal drives (evidence over {after.Pace!.Seconds} s, less {after.Pace.Allowance:0.00} a bet)");
        }
        return 0;

        float[][] Scored(int seed, Trouble trouble, int frames)
        {
            using var camera = new StreetCamera(seed);
            float[][] rows = new float[frames][];
            for (int i = 0; i < frames; i++)
            {
                batch.DecodeHere(0, camera.Render(i, trouble), decoder);
                batch.Count = 1;
                batch.Run();
                rows[i] = batch.Scores(0).ToArray();
            }
            return rows;
        }

        void Report(string title)
        {
            var calibration = package.Default.Calibration;
            float[][] rows = [.. normal.SelectMany(drive => drive)];
            double Share(double level) => rows.Count(row => calibration.PValue(calibration.Combine(row)) <= level) / (double)rows.Length;
            AlertTest?[] falsely = [.. normal.Select(Opened).OfType<AlertStep>().Select(step => step.Test)];
            Console.WriteLine($"{title}: {falsely.Length} false incidents in {NormalDrives} normal drives of {NormalFrames} s, "
                + $"{falsely.Count(test => test != AlertTest.Onset)} of them by the level; "
                + $"p at most 0.05 in {Share(0.05):P1} of their frames, at most 0.1 in {Share(0.1):P1}");
            foreach (var (trouble, of) in strange)
            {
                double[] delays = [.. of.Select(drive => Opened(drive)?.Last.Offset ?? double.PositiveInfinity).Order()];
                double median = Quantiles.Of(delays, 0.5);
                Console.WriteLine($"  {trouble,-10} {delays.Count(double.IsFinite),2} of {delays.Length} found, median "
                    + (double.IsFinite(median) ? median.ToString("0", CultureInfo.InvariantCulture) + " s" : "not found"));
            }
        }

        AlertStep? Opened(float[][] drive)
        {
            var detector = new CameraDetector("camera", package, options);
            var alerts = new List<AlertStep>();
            for (int i = 0; i < drive.Length; i++)
            {
                detector.Observe(new FrameObservation
                {
                    Frame = new FrameRef("", 0, i, (i + 1) * 1_000_000_000L),
                    Scores = drive[i],
                    ErrorMap = default,
                    Pixels = default,
                }, alerts);
                if (alerts.Count > 0) return alerts[0];
            }
            return null;
        }
    }
}
