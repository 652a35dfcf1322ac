using OutlierPipeline.Alerts;
using OutlierPipeline.Models;

namespace OutlierPipeline.Detection;

/// <summary>
/// What a camera's strange frames look like: the mean place of the last of them among the causes, less that of the camera's own normal
/// frames, since another road lies elsewhere. Costs no memory a frame, and is no part of the state: a detector that begins anew knows
/// the training's normal frames.
/// </summary>
internal sealed class CauseWatch(CauseModel model)
{
    /// <summary>Strange frames weigh as in a mean of so many.</summary>
    private const int Strange = 3;

    /// <summary>The same for normal frames, and with how many of them the camera's own replace the training's.</summary>
    private const int Normal = 100;

    private const int MinNormal = 10;
    private readonly float[] _place = new float[model.Discriminants];
    private readonly float[] _strange = new float[model.Discriminants];
    private readonly float[] _normal = new float[model.Discriminants];
    private int _strangeFrames;
    private int _normalFrames;

    /// <summary>Takes one frame.</summary>
    /// <param name="profile">F values; empty where the frame has none.</param>
    /// <param name="isStrange">It speaks against normality.</param>
    /// <param name="isQuiet">No incident is open, and there is no evidence for one.</param>
    public void Add(ReadOnlySpan<float> profile, bool isStrange, bool isQuiet)
    {
        if (isQuiet) _strangeFrames = 0;
        if (profile.IsEmpty) return;
        model.Project(profile, _place);
        if (isStrange) Take(_strange, ref _strangeFrames, Strange);
        else if (isQuiet) Take(_normal, ref _normalFrames, Normal);
    }

    /// <summary>Another drive, or another place in the log: the strange frames are past, the road is about the same.</summary>
    public void Forget() => _strangeFrames = 0;

    /// <summary>What the last strange frames look like; null where there was none with a profile.</summary>
    public Cause? Now() => _strangeFrames == 0 ? null
        : CauseClassifier.Name(model, _strange, _normalFrames >= MinNormal ? _normal : model.Normal);

    private void Take(float[] mean, ref int frames, int longest)
    {
        frames = Math.Min(frames + 1, longest);
        for (int i = 0; i < mean.Length; i++) mean[i] += (_place[i] - mean[i]) / frames;
    }
}
