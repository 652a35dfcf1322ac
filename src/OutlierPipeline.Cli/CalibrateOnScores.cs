using System.Globalization;
using System.Runtime.InteropServices;
using OutlierPipeline.Detection;
using OutlierPipeline.Evaluation;
using OutlierPipeline.Models;

namespace OutlierPipeline.Cli;

/// <summary>
/// <c>outlier calibrate --scores</c> without frames: the level is calibrated on what the deployment's own normal drives scored.
/// </summary>
internal static class CalibrateOnScores
{
    /// <summary>Gathers normal drives of recorded scores and calibrates on them.</summary>
    /// <param name="only">The camera whose calibration it becomes; null for that of every camera that has none of its own.</param>
    /// <param name="source">See <see cref="StoredScore.Kinds"/>.</param>
    /// <returns>The calibration, and a digest of the rows.</returns>
    /// <exception cref="CommandException">There are no scores, too few drives, or another model's scores.</exception>
    public static (Calibration Calibration, string Digest) Fit(ModelPackage package, string? only, string source,
        CancellationToken cancellation)
    {
        var before = only is null ? package.Default.Calibration : package.For(only).Calibration;
        var options = new DetectionOptions();
        var gathered = new NormalDrives(before, options.DriveGap);
        var drives = new List<NormalDrive>();
        string? other = null;
        int scores = 0;
        foreach (var score in StoredScore.Read(source, package.Card, FootageScorer.DefaultRate, cancellation))
        {
            if (score.ModelDigest != package.Digest)
            {
                other ??= score.ModelDigest ?? "not named";
                continue;
            }
            if (only is not null ? score.Camera != only : package.Card.Cameras?.ContainsKey(score.Camera) == true) continue;
            scores++;
            if (gathered.Add(score.Camera, score.TimestampNanoseconds, score.Scores, score.Incident is not null) is { } ended)
                drives.Add(ended);
        }
        if (scores == 0)
            throw new CommandException(other is null
                ? $"{source}: no scores{(only is null ? "" : $" of camera {only}")} by {package.Card.Name}"
                : $"{source}: another model scored it ({other}; {package.Card.Name} is {package.Digest}): its scores mean nothing to this "
                    + "one");
        drives.AddRange(gathered.Close());
        string left = $"{gathered.StrangeDrives} were left out for more than a tenth of strange frames, "
            + $"{gathered.ShortDrives} as too short";
        try
        {
            var chosen = DeploymentFit.Choose(drives);
            var calibration = DeploymentFit.Fit(before, chosen, options.FalseAlarmProbability);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{scores} scores hold {drives.Count} normal drives, of which {chosen.Length} calibrate; {left}. ")
                + string.Create(CultureInfo.InvariantCulture, $"Evidence by the level gathers over {calibration.Pace!.Seconds} s, ")
                + string.Create(CultureInfo.InvariantCulture, $"less {calibration.Pace.Allowance:0.00} a bet"));
            return (calibration, DigestOf(chosen));
        }
        catch (ArgumentException e)
        {
            throw new CommandException($"{source}: {e.Message.Split(" (Parameter")[0]}; of {scores} scores, {left}");
        }
    }

    private static string DigestOf(NormalDrive[] drives)
    {
        byte[] bytes = [.. drives.SelectMany(drive => drive.Rows).SelectMany(row => MemoryMarshal.AsBytes(row.AsSpan()).ToArray())];
        return ModelPackage.DigestOf(bytes);
    }
}
