using OutlierPipeline.Alerts;
using OutlierPipeline.Models;

namespace OutlierPipeline.Detection;

/// <summary>
/// The evidence against "this camera is normal", and its counterpart for calm: bets on p-values, summed up in the camera's state. Kept from
/// falling below 1 as in CUSUM, so that a
/// trouble after hours of calm is found as fast as one at the start.
/// </summary>
/// <remarks>
/// A conformal test martingale (see <see cref="Martingale"/>); Cai and Koutsoukos, ICCPS 2020, use such a detector on the same footing.
/// Frames stranger than ranks among the calibration
/// can say bet by the fit of its tail: so large deviations are found within a few frames, whatever the size of the calibration. The
/// evidence without that extrapolation is kept beside it.
/// </remarks>
/// <param name="threshold">Natural logarithm of the odds at which an incident opens.</param>
internal sealed class Evidence(DetectorState state, double threshold, NetworkCard network)
{
    /// <summary>So many frames in a row whose strangest place is the same one say that something stays there.</summary>
    private const int StaysAfter = 3;

    /// <summary>Whether it is enough to open an incident.</summary>
    public bool IsEnough => state.Evidence >= threshold;

    /// <summary>Whether the conformal p-values alone, without the tail's extrapolation, are not enough.</summary>
    public bool IsExtrapolated => state.Guaranteed < threshold;

    /// <summary>Whether the last frames speak for calm at all.</summary>
    public bool LeansToCalm => state.Calm > 0;

    /// <summary>Whether there is as much evidence for calm as it takes to open an incident against it.</summary>
    public bool IsCalm => state.Calm >= threshold;

    /// <summary>As a base-10 logarithm: 6 is odds of a million to one.</summary>
    public double Log10 => state.Evidence / Math.Log(10);

    /// <summary>Whether the strangest place of the picture has stayed the same.</summary>
    public bool StaysInPlace => state.CellFrames >= StaysAfter;

    /// <summary>Takes one frame's bet.</summary>
    /// <param name="p">Conformal p-value of the combined score.</param>
    /// <param name="tail">The p-value by the tail's fit, where that is smaller than ranks can say.</param>
    /// <param name="seconds">Since the frame before.</param>
    /// <param name="errorMap"><c>[h, w]</c>, or empty.</param>
    public void Add(double p, double? tail, double seconds, FrameRef frame, ReadOnlySpan<float> errorMap)
    {
        double bet = Martingale.Bet(tail is { } extrapolated ? Math.Clamp(extrapolated, Martingale.SmallestExtrapolated, p) : p);
        double weight = Martingale.Weight(seconds);
        state.Guaranteed = Math.Clamp(state.Guaranteed + weight * Martingale.Bet(p), 0, Martingale.Max);
        state.Evidence = Math.Clamp(state.Evidence + weight * bet, 0, Martingale.Max);
        state.Calm = Math.Clamp(state.Calm - weight * bet, 0, Martingale.Max);
        if (state.Calm >= threshold / 2) state.WasCalm = true;
        if (state.Evidence == 0)
        {
            state.EvidenceFrom = null;
            state.CellFrames = 0;
            return;
        }
        state.EvidenceFrom ??= frame;
        if (bet <= 0) return;
        int columns = network.ErrorMapWidth;
        int cell = PictureRegion.StrangestCell(errorMap);
        bool near = Math.Abs(cell / columns - state.Cell / columns) <= 1 && Math.Abs(cell % columns - state.Cell % columns) <= 1;
        state.CellFrames = near ? state.CellFrames + 1 : 1;
        state.Cell = cell;
    }

    /// <summary>Something other than scores says that the camera is in trouble.</summary>
    public void DenyCalm() => state.Calm = 0;

    /// <summary>Starts afresh; what has stood unchanged or could not be decoded is forgotten too.</summary>
    public void Forget()
    {
        state.Evidence = 0;
        state.Calm = 0;
        state.Guaranteed = 0;
        state.EvidenceFrom = null;
        state.CellFrames = 0;
        state.PictureFrom = null;
        state.Undecodable = 0;
    }
}
