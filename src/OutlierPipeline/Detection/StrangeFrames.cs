using OutlierPipeline.Alerts;
using OutlierPipeline.Models;

namespace OutlierPipeline.Detection;

/// <summary>What is said of a camera's strange frames beside that they are strange: what they look like, and along what they are unusual.
/// </summary>
internal sealed class StrangeFrames(ModelPackage package, Calibration calibration)
{
    private readonly CauseWatch? _causes = package.Causes is { } causes ? new CauseWatch(causes) : null;
    private readonly CodeWatch? _codes = calibration.Code is { } code
        ? new CodeWatch(code, calibration, package.Card.Network.DimensionNames) : null;

    /// <summary>What the last of them look like; null where nothing says so.</summary>
    public Cause? Cause => _causes?.Now();

    /// <summary>Along what they are unusual; empty where nothing says so.</summary>
    public IReadOnlyList<UnusualDimension> Along => _codes?.Now() ?? [];

    /// <summary>Takes one frame.</summary>
    /// <param name="isStrange">It speaks against normality.</param>
    /// <param name="isQuiet">No incident is open, and there is no evidence for one.</param>
    public void Add(in FrameObservation frame, bool isStrange, bool isQuiet)
    {
        _causes?.Add(frame.Profile, isStrange, isQuiet);
        _codes?.Add(frame.Latent, frame.Scores, isStrange, isQuiet);
    }

    /// <summary>Another drive, or another place in the log: the strange frames are past.</summary>
    public void Forget()
    {
        _causes?.Forget();
        _codes?.Forget();
    }
}
