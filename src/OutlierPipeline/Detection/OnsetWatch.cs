using OutlierPipeline.Models;

namespace OutlierPipeline.Detection;

/// <summary>What the onset test says of one frame.</summary>
/// <param name="Onset">The deviation from the camera's own recent frames, in units of normal ones; higher is stranger.</param>
/// <param name="PValue">Its conformal p-value: of the two baselines' the smaller, twice.</param>
/// <param name="Fast">The p-value to bet on, of a change within seconds.</param>
/// <param name="Slow">The same of what came slowly; null where the package or the camera does not know yet.</param>
/// <param name="SlowSlot">Seconds for which the slow deviation is one and the same observation.</param>
/// <param name="Fired">Index of the score that deviates most.</param>
/// <param name="Strangeness">By how many units it does.</param>
internal readonly record struct OnsetFigures(double Onset, double PValue, double Fast, double? Slow, double SlowSlot, int Fired,
    double Strangeness);

/// <summary>The onset test of one camera: its scores against its own running medians, in units of normal footage's deviations.</summary>
/// <remarks>
/// The two p-values are merged as twice the smaller one, which holds whatever their dependence (Rüschendorf 1982; Vovk and Wang, Combining
/// p-values via averaging, Biometrika 2020).
/// </remarks>
internal sealed class OnsetWatch
{
    /// <summary>At this p-value what a camera shows is unlike what it showed before.</summary>
    private const double Level = 0.05;

    private readonly Calibration _calibration;
    private readonly OnsetCalibration _onset;
    private readonly OnsetBaseline _baseline;
    private readonly int[] _watched;
    private readonly double[] _scores;
    private readonly double[] _deviations;

    public OnsetWatch(Calibration calibration, OnsetCalibration onset, byte[]? state)
    {
        _calibration = calibration;
        _onset = onset;
        _watched = calibration.IndicesOf(onset.Scores ?? calibration.Combines);
        _baseline = new OnsetBaseline(_watched.Length);
        _scores = new double[_watched.Length];
        _deviations = new double[_watched.Length];
        _baseline.Restore(state);
    }

    /// <summary>Takes one frame's S scores.</summary>
    /// <param name="seconds">Since the frame before.</param>
    /// <param name="absorbAfter">While an incident is open: what stays is learned within this time, for a median forgets what filled half
    /// of its window.</param>
    /// <returns>Null where too few frames were seen, or frames come more slowly than the calibration knows.</returns>
    public OnsetFigures? Add(ReadOnlySpan<float> scores, double seconds, TimeSpan? absorbAfter)
    {
        for (int k = 0; k < _scores.Length; k++) _scores[k] = _calibration.Standardise(_watched[k], scores[_watched[k]]);
        _baseline.Add(_scores, seconds, absorbAfter is { } time ? 2 * time.TotalSeconds / OnsetBaseline.Slots : 0);
        if (!_baseline.HasFast || _onset.For(_baseline.Step) is not { } fast) return null;
        var (onset, p, bet) = Judge(fast, _baseline.Fast);
        var (fired, strangeness) = Strangest(fast);
        if (_onset.Slow is not { } slow || !_baseline.HasSlow) return new(onset, p, bet, null, 0, fired, strangeness);
        var (slowOnset, slowP, slowBet) = Judge(slow, _baseline.Slow);
        if (slowP < p) (fired, strangeness) = Strangest(slow);
        return new(Math.Max(onset, slowOnset), Math.Min(1, 2 * Math.Min(p, slowP)), bet, slowBet, _baseline.SlowSlot, fired, strangeness);
    }

    /// <summary>Remembers what the camera showed before an incident.</summary>
    public void Mark() => _baseline.Mark();

    /// <summary>Whether the camera shows something else than it did when it was marked.</summary>
    public bool IsUnlikeBefore()
    {
        if (!_baseline.TryCompare(_scores) || _onset.For(_baseline.Step) is not { } fast) return false;
        return Judge(fast, _scores).PValue <= Level;
    }

    /// <summary>Begins anew: another drive, or frames are missing.</summary>
    public void Forget() => _baseline.Forget();

    public byte[] Save() => _baseline.Save();

    private (double Combined, double PValue, double Bet) Judge(OnsetNull normal, ReadOnlySpan<double> deviations)
    {
        for (int k = 0; k < _deviations.Length; k++) _deviations[k] = deviations[k] * _calibration.Scale[_watched[k]];
        double combined = normal.Combine(_deviations);
        double p = normal.PValue(combined);
        return (combined, p, normal.TailPValue(combined) is { } tail ? Math.Clamp(tail, Martingale.SmallestExtrapolated, p) : p);
    }

    /// <summary>Which of the deviations that were judged last is the largest.</summary>
    private (int Fired, double Strangeness) Strangest(OnsetNull normal)
    {
        int strangest = 0;
        for (int k = 1; k < _deviations.Length; k++)
        {
            if (_deviations[k] / normal.Units[k] > _deviations[strangest] / normal.Units[strangest]) strangest = k;
        }
        return (_watched[strangest], _deviations[strangest] / normal.Units[strangest]);
    }
}
