using OutlierPipeline.Frames;

namespace OutlierPipeline.Training.Scores;

/// <summary>Means, over the patches that count, of everything that scores average: one matrix product for all of them.</summary>
public sealed class PatchMeans<T>
{
    private const int Bands = PatchFeatures.Bands;
    private const int Colours = 3;
    private const int Thirds = 3;

    /// <summary>−2 and −1 listen to the smoothest patches, where thin rain and noise show and the mean over the picture sees nothing; 1 and 2 to the roughest.</summary>
    private static readonly double[] EnergyPowers = [-2, -1, 1, 2];
    private static readonly double[] ColourPowers = [-8, 8];
    private static readonly float[] Exponents = [.. EnergyPowers.SelectMany(power => Enumerable.Repeat((float)(1 / power), Bands)), .. ColourPowers.SelectMany(power => Enumerable.Repeat((float)(1 / power), Colours))];

    private readonly TensorOps<T> _ops;
    private readonly T _means;
    private readonly T _logs;
    private readonly int _colours;
    private readonly int _columns;

    public PatchMeans(TensorOps<T> ops, FrameSize size, PatchFeatures<T> patches)
    {
        var (similarity, squaredError) = StructureScore.Of(ops, size, patches);
        // Powers need no exponential: energies are at least half a grey level's, so that their inverse squares stay far within float32.
        var energies = ops.Slice(patches.Energies, 0, Bands);
        var inverse = ops.Divide(ops.Constant(1), energies);
        var exponential = ops.Exp(ops.Multiply(patches.Colours, ops.Constant(ColourPowers[1])));
        T[] positive = [ops.Square(inverse), inverse, patches.Energies, ops.Square(energies), ops.Divide(ops.Constant(1), exponential), exponential];
        _ops = ops;
        _colours = 5 * Bands + 2 * Colours;
        _columns = _colours + 2 * Colours + 2 + Bands;
        var all = ops.Concat([.. positive, patches.Colours, ops.Square(patches.Colours), squaredError, similarity, ops.Slice(patches.LogEnergies, 0, Bands)]);
        int count = PatchFeatures.Count(size);
        int rows = PatchFeatures.Rows(size);
        float[] regions = [.. Enumerable.Range(0, Thirds + 1).SelectMany(region => Enumerable.Range(0, count).Select(patch =>
        {
            int row = patch / PatchFeatures.Columns(size);
            return region == 0 || (row >= (region - 1) * rows / Thirds && row < region * rows / Thirds) ? 1f : 0;
        }))];
        var weights = ops.Multiply(ops.Reshape(patches.Mask, 1, count), ops.Constant(regions, 1, Thirds + 1, count));
        var shares = ops.Divide(weights, ops.Add(ops.SumLast(weights), ops.Constant(PatchFeatures.Tiny)));
        _means = ops.Reshape(ops.MatMul(shares, ops.Reshape(all, count, _columns)), (Thirds + 1) * _columns);
        // Where nothing counts every mean is 0.
        _logs = ops.Log(ops.Add(ops.Slice(_means, 0, _colours), ops.Constant(1e-30)));
    }

    /// <summary>Logarithms of mean energies of bands of picture and residual, <c>[N, 18]</c>.</summary>
    public T LogEnergies() => _ops.Slice(_logs, 2 * Bands, 2 * Bands);

    /// <summary>Means of the picture's log energies, <c>[N, 9]</c>.</summary>
    public T MeanLogEnergies() => _ops.Slice(_means, _colours + 2 * Colours + 2, Bands);

    /// <summary>Generalised means of the picture's energies, as logarithms, then those of exponentials of its colours: <c>[N, 9 · 4 + 3 · 2]</c>, by exponent.</summary>
    public T LogPowers() => _ops.Multiply(_ops.Concat(_ops.Slice(_logs, 0, 3 * Bands), _ops.Slice(_logs, 4 * Bands, Bands + 2 * Colours)), _ops.Constant(Exponents, 1, Exponents.Length));

    /// <summary>Mean colours, <c>[N, 3]</c>.</summary>
    public T MeanColours() => _ops.Slice(_means, _colours, Colours);

    /// <summary>Mean squared residual, <c>[N, 1]</c>.</summary>
    public T SquaredError() => _ops.Slice(_means, _colours + 2 * Colours, 1);

    /// <summary>Mean structural similarity, <c>[N, 1]</c>.</summary>
    public T Similarity() => _ops.Slice(_means, _colours + 2 * Colours + 1, 1);

    /// <summary>Mean colours of the upper, middle and lower third, <c>[N, 9]</c>.</summary>
    public T ColoursOfThirds() => _ops.Concat([.. Enumerable.Range(1, Thirds).Select(third => _ops.Slice(_means, third * _columns + _colours, Colours))]);

    /// <summary>Log standard deviation of each colour over the patches, <c>[N, 3]</c>.</summary>
    public T LogDeviations()
    {
        var squares = _ops.Slice(_means, _colours + Colours, Colours);
        var deviation = _ops.Sqrt(_ops.Clip(_ops.Subtract(squares, _ops.Square(MeanColours())), 0, 1e6f));
        return _ops.Log(_ops.Add(deviation, _ops.Constant(1e-3)));
    }
}
