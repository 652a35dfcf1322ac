using OutlierPipeline.Footage;

namespace OutlierPipeline.Training.Features;

/// <summary>
/// Scores of training frames by networks, densities and places that never saw their drive: what other drives than the training's will
/// score, as far as the training's own footage can say.
/// </summary>
/// <param name="Rows">n rows of S scores, stretch by stretch, in time order.</param>
/// <param name="Stretches">Number of rows of each stretch of consecutive frames.</param>
/// <param name="IsByDrive">Whether whole drives were left out; else halves of drives, which say less.</param>
public sealed record LeftOut(float[][] Rows, int[] Stretches, bool IsByDrive)
{
    /// <summary>With a smaller share of the frames, a group of drives trains no network.</summary>
    private const double MinShare = 0.15;

    /// <summary>Share of a drive at either side of its middle that neither trains nor is scored, where halves are left out.</summary>
    private const double Gap = 0.05;

    /// <summary>
    /// Two folds: stretches that train one network and are scored by the other. By drive, of about as many frames; where the drives are
    /// one, or nearly, the two halves of each.
    /// </summary>
    internal static (DriveSpan[][] Folds, bool IsByDrive) FoldsOf(IReadOnlyList<DriveSpan> drives)
    {
        var groups = new[] { new List<DriveSpan>(), new List<DriveSpan>() };
        foreach (var drive in drives.OrderByDescending(drive => drive.Count).ThenBy(drive => drive.First))
            groups.MinBy(group => group.Sum(other => other.Count))!.Add(drive);
        int all = drives.Sum(drive => drive.Count);
        if (groups.All(group => group.Sum(drive => drive.Count) >= MinShare * all))
            return ([.. groups.Select(group => group.OrderBy(drive => drive.First).ToArray())], true);
        DriveSpan[] Halves(bool isSecond) => [.. drives.Select(drive =>
        {
            int half = (int)((0.5 - Gap) * drive.Count);
            return new DriveSpan(drive.Name, isSecond ? drive.First + drive.Count - half : drive.First, half);
        }).Where(half => half.Count > 0)];
        return ([Halves(false), Halves(true)], false);
    }
}
