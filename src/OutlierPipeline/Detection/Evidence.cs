using OutlierPipeline.Alerts;
using OutlierPipeline.Models;

namespace OutlierPipeline.Detection;

/// <summary>
/// The evidence against "this camera is normal", and its counterpart for calm: bets on p-values, summed up in the camera's state. Kept from
/// falling below 1 as in CUSUM, so that a trouble after hours of calm is found as fast as one at the start.
/// </summary>
/// <remarks>
/// A conformal test martingale (see <see cref="Martingale"/>); Cai and Koutsoukos, ICCPS 2020, use such a detector on the same footing.
/// Frames stranger than ranks among the calibration can say bet by the fit of its tail: so large deviations are found within a few frames,
/// whatever the size of the calibration. The evidence without that extrapolation is kept beside it.
/// <para>
/// Where the package has an onset test, level, onset and what comes slowly each keep evidence of their own, and the camera's evidence is
/// their average: an average of e-processes is one, however they depend on each other (Vovk and Wang, E-values: calibration, combination
/// and applications, Annals of Statistics 2021, sec. 4), and of detectors by them likewise (Shin, Ramdas and Rinaldo, E-detectors, 2023).
/// </para>
/// </remarks>
/// <param name="threshold">Natural logarithm of the odds at which an incident opens.</param>
internal sealed class Evidence(DetectorState state, double threshold, NetworkCard network, Calibration calibration)
{
    /// <summary>So many frames in a row whose strangest place is the same one say that something stays there.</summary>
    private const int StaysAfter = 3;

    private readonly OnsetCalibration? _onset = calibration.Onset;
    private readonly OnsetMemory _memory = state.Onset ??= new OnsetMemory();

    /// <summary>Whether it is enough to open an incident.</summary>
    public bool IsEnough => Total >= threshold;

    /// <summary>Whether there is none at all.</summary>
    public bool IsNone => Total == 0;

    /// <summary>Whether the conformal p-values alone, without the tail's extrapolation, are not enough.</summary>
    public bool IsExtrapolated => Average(state.Guaranteed, 0, 0) < threshold;

    /// <summary>Whether the level's ranks are those of training footage that was left out.</summary>
    public bool IsBootstrap => calibration.IsBootstrap;

    /// <summary>The test that has most of the evidence; null where the package knows one alone.</summary>
    public AlertTest? Test => _onset is null ? null
        : Math.Max(_memory.Evidence, _memory.SlowEvidence) > state.Evidence ? AlertTest.Onset : AlertTest.Level;

    /// <summary>What calibrated a test; null where the package does not say.</summary>
    public CalibrationOrigin? OriginOf(AlertTest? test)
    {
        if (test == AlertTest.Onset && _onset!.Basis != OnsetCalibration.OfCalibration) return new CalibrationOrigin("bootstrap", null);
        return calibration.Origin is { } origin ? new CalibrationOrigin(origin, calibration.DeploymentDrives) : null;
    }

    /// <summary>The first frame of that evidence.</summary>
    /// <param name="now">A frame of the same camera.</param>
    public FrameRef? From(FrameRef now) => Test == AlertTest.Onset
        ? _memory.From is { } first ? first with { Topic = now.Topic, Partition = now.Partition } : null
        : state.EvidenceFrom;

    /// <summary>As a base-10 logarithm: 6 is odds of a million to one.</summary>
    public double Log10 => Total / Math.Log(10);

    /// <summary>Whether the strangest place of the picture has stayed the same.</summary>
    public bool StaysInPlace => state.CellFrames >= StaysAfter;

    private double Total => Average(state.Evidence, _memory.Evidence, _memory.SlowEvidence);

    /// <summary>Whether the last frames speak for calm at all, by the test that opened an incident.</summary>
    public bool LeansToCalm(AlertTest? test) => CalmOf(test) > 0;

    /// <summary>Whether there is as much evidence for calm as it takes to open an incident against it.</summary>
    public bool IsCalm(AlertTest? test) => CalmOf(test) >= threshold;

    /// <summary>Takes one frame's bets.</summary>
    /// <param name="p">Conformal p-value of the combined score.</param>
    /// <param name="tail">The p-value by the tail's fit, where that is smaller than ranks can say.</param>
    /// <param name="onset">What the onset test says; null where it says nothing.</param>
    /// <param name="seconds">Since the frame before.</param>
    /// <param name="errorMap"><c>[h, w]</c>, or empty.</param>
    /// <returns>Whether the frame speaks against normality, by either test.</returns>
    public bool Add(double p, double? tail, OnsetFigures? onset, double seconds, FrameRef frame, ReadOnlySpan<float> errorMap)
    {
        double bet = Martingale.LevelBet(calibration, p, tail);
        double weight = Martingale.LevelWeight(calibration, seconds);
        state.Guaranteed = Sum(state.Guaranteed, weight * Martingale.LevelBet(calibration, p, null));
        state.Evidence = Sum(state.Evidence, weight * bet);
        state.Calm = Sum(state.Calm, -weight * bet);
        if (state.Calm >= threshold / 2) state.WasCalm = true;
        if (state.Evidence == 0) state.EvidenceFrom = null;
        else state.EvidenceFrom ??= frame;
        if (_onset is not null) bet = Math.Max(bet, AddOnset(onset, bet, seconds, frame));
        if (Total == 0)
        {
            state.CellFrames = 0;
            return bet > 0;
        }
        if (bet <= 0) return false;
        int columns = network.ErrorMapWidth;
        int cell = PictureRegion.StrangestCell(errorMap);
        bool near = Math.Abs(cell / columns - state.Cell / columns) <= 1 && Math.Abs(cell % columns - state.Cell % columns) <= 1;
        state.CellFrames = near ? state.CellFrames + 1 : 1;
        state.Cell = cell;
        return true;
    }

    /// <summary>Something other than scores says that the camera is in trouble.</summary>
    public void DenyCalm() => (state.Calm, _memory.Calm) = (0, 0);

    /// <summary>Starts afresh; what has stood unchanged or could not be decoded is forgotten too.</summary>
    public void Forget()
    {
        (state.Evidence, state.Calm, state.Guaranteed) = (0, 0, 0);
        (_memory.Evidence, _memory.SlowEvidence, _memory.Calm) = (0, 0, 0);
        (state.EvidenceFrom, _memory.From) = (null, null);
        state.CellFrames = 0;
        state.PictureFrom = null;
        state.Undecodable = 0;
    }

    /// <summary>Takes the onset's bets.</summary>
    /// <param name="level">The level's, which says what there is to say of calm before the onset knows.</param>
    /// <returns>The larger one.</returns>
    private double AddOnset(OnsetFigures? onset, double level, double seconds, FrameRef frame)
    {
        double weight = Martingale.OnsetWeight(seconds);
        double bet = level;
        if (onset is { } figures)
        {
            bet = Martingale.Bet(figures.Fast);
            _memory.Evidence = (float)Sum(_memory.Evidence, weight * bet);
            if (figures.Slow is { } p)
            {
                double slow = Martingale.Bet(p);
                _memory.SlowEvidence = (float)Sum(_memory.SlowEvidence, Martingale.SlowWeight(seconds, figures.SlowSlot) * slow);
                bet = Math.Max(bet, slow);
            }
        }
        _memory.Calm = (float)Sum(_memory.Calm, -weight * bet);
        // What comes slowly has no first frame.
        if (_memory.Evidence == 0) _memory.From = null;
        else _memory.From ??= frame;
        return bet;
    }

    private double CalmOf(AlertTest? test) => _onset is null || test == AlertTest.Level ? state.Calm : _memory.Calm;

    private double Average(double level, double onset, double slow)
    {
        if (_onset is null) return level;
        double sum = Math.Exp(level) + Math.Exp(onset);
        return _onset.Slow is null ? Math.Log(sum / 2) : Math.Log((sum + Math.Exp(slow)) / 3);
    }

    private static double Sum(double evidence, double bet) => Math.Clamp(evidence + bet, 0, Martingale.Max);
}
