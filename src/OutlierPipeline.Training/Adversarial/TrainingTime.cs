using System.Globalization;

namespace OutlierPipeline.Training.Adversarial;

/// <summary>
/// How many epochs a training against a discriminator has unless it is told: as many whole ones as one core computes in
/// <see cref="Seconds"/>, by what a frame of the default size costs. So all of <c>outlier train</c> ends within half an hour on two cores.
/// </summary>
internal static class TrainingTime
{
    /// <summary>
    /// Seconds of one core for all epochs of a package. A second core makes them fewer; the rest of half an hour is for reading frames, the
    /// backbone, densities and the package.
    /// </summary>
    public const double Seconds = 1500;

    /// <summary>A GPU looks at so many times as many frames.</summary>
    private const int OnGpu = 10;

    private const int Most = 200;

    /// <summary>Whole epochs, one at least.</summary>
    /// <param name="frames">That train.</param>
    /// <param name="cost">Seconds of one core that a frame costs, measured.</param>
    /// <param name="share">Of <see cref="Seconds"/>, where a package has two trainings.</param>
    public static int Epochs(int frames, double cost, bool isGpu, double share = 1) =>
        (int)Math.Clamp(share * Seconds * (isGpu ? OnGpu : 1) / (frames * cost), 1, Most);

    /// <summary>How long the rest takes, in words, at the pace so far; nothing where nothing is left.</summary>
    /// <param name="done">Steps since it began.</param>
    /// <param name="left">Steps that are left.</param>
    public static string Left(long done, long left, TimeSpan elapsed)
    {
        if (left <= 0 || done <= 0) return "";
        var rest = elapsed * ((double)left / done);
        return rest < TimeSpan.FromMinutes(2)
            ? string.Create(CultureInfo.InvariantCulture, $", about {rest.TotalSeconds:0} s left")
            : string.Create(CultureInfo.InvariantCulture, $", about {rest.TotalMinutes:0} min left");
    }
}
