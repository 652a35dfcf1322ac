using System.Globalization;
using OutlierPipeline.Alerts;
using OutlierPipeline.Models;

namespace OutlierPipeline.Detection;

/// <summary>
/// Along what a camera's strange frames are unusual: the mean code of the last of them, dimension by dimension, in deviations of the
/// calibration's. Like <see cref="CauseWatch"/> it costs no memory a frame and is no part of the state.
/// </summary>
/// <param name="names">Of dimensions, by their number.</param>
internal sealed class CodeWatch(CodeCalibration code, Calibration calibration, IReadOnlyDictionary<int, string>? names)
{
    /// <summary>Dimensions that are named at most.</summary>
    private const int Most = 3;

    /// <summary>Deviations from which on a dimension is unusual.</summary>
    private const double Unusual = 3;

    /// <summary>
    /// How many times its normal spread (from the median to the 95th percentile) the code's density lies above its median, from which on it
    /// is a reason. Below it the code as a whole is normal, and what one of many dimensions does is chance.
    /// </summary>
    private const double Strange = 1;

    /// <summary>Strange frames weigh as in a mean of so many.</summary>
    private const int Longest = 3;

    private readonly int _score = calibration.IndicesOf([code.Score])[0];
    private readonly float[] _mean = new float[code.Mean.Length];
    private double _strangeness;
    private int _frames;

    /// <summary>Takes one frame.</summary>
    /// <param name="latent">Z values; empty where the frame has none.</param>
    /// <param name="isStrange">It speaks against normality.</param>
    /// <param name="isQuiet">No incident is open, and there is no evidence for one.</param>
    public void Add(ReadOnlySpan<float> latent, ReadOnlySpan<float> scores, bool isStrange, bool isQuiet)
    {
        if (isQuiet) _frames = 0;
        if (latent.Length != _mean.Length || !isStrange) return;
        _frames = Math.Min(_frames + 1, Longest);
        if (_frames == 1) Array.Clear(_mean);
        for (int d = 0; d < _mean.Length; d++) _mean[d] += (latent[d] - _mean[d]) / _frames;
        double strangeness = calibration.Standardise(_score, scores[_score]);
        _strangeness = _frames == 1 ? strangeness : _strangeness + (strangeness - _strangeness) / _frames;
    }

    /// <summary>Another drive, or another place in the log: the strange frames are past.</summary>
    public void Forget() => _frames = 0;

    /// <summary>The most unusual dimensions of the last strange frames, the largest first; empty where the code is normal.</summary>
    public IReadOnlyList<UnusualDimension> Now() => _frames == 0 || !(_strangeness >= Strange)
        ? []
        : [.. Enumerable.Range(0, _mean.Length).Select(d => (Dimension: d, Sigma: (_mean[d] - code.Mean[d]) / (double)code.Deviation[d]))
            .Where(one => double.IsFinite(one.Sigma) && Math.Abs(one.Sigma) >= Unusual)
            .OrderByDescending(one => Math.Abs(one.Sigma)).Take(Most)
            .Select(one => new UnusualDimension(NameOf(one.Dimension), one.Sigma))];

    private string NameOf(int dimension) => names?.TryGetValue(dimension, out string? name) == true
        ? name : string.Create(CultureInfo.InvariantCulture, $"dimension {dimension}");
}
