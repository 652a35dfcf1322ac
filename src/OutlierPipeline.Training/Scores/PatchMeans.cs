using OutlierPipeline.Frames;

namespace OutlierPipeline.Training.Scores;

/// <summary>
/// Means, over the patches that count, of everything that scores average: one matrix product for all of them. Scores pick theirs by number.
/// </summary>
public sealed class PatchMeans<T>
{
    private const int Bands = PatchFeatures.Bands;
    private const int Thirds = 3;

    private readonly TensorOps<T> _ops;
    private readonly T _means;
    private readonly T _statistics;

    public PatchMeans(TensorOps<T> ops, FrameSize size, PatchFeatures<T> patches)
    {
        var (similarity, squaredError) = StructureScore.Of(ops, size, patches);
        // Powers need no exponential: energies are at least half a grey level's, so that their inverse squares stay far within float32.
        var energies = ops.Slice(patches.Energies, 0, Bands);
        var inverse = ops.Divide(ops.Constant(1), energies);
        var exponential = ops.Exp(ops.Multiply(patches.Colours, ops.Constant(MeanColumns.ColourPower)));
        T[] positive = [ops.Square(inverse), inverse, patches.Energies, ops.Square(energies), ops.Divide(ops.Constant(1), exponential),
            exponential];
        _ops = ops;
        var all = ops.Concat([.. positive, patches.Colours, ops.Square(patches.Colours), squaredError, similarity,
            ops.Slice(patches.LogEnergies, 0, Bands)]);
        int count = PatchFeatures.Count(size);
        int rows = PatchFeatures.Rows(size);
        float[] regions = [.. Enumerable.Range(0, Thirds + 1).SelectMany(region => Enumerable.Range(0, count).Select(patch =>
        {
            int row = patch / PatchFeatures.Columns(size);
            return region == 0 || (row >= (region - 1) * rows / Thirds && row < region * rows / Thirds) ? 1f : 0;
        }))];
        var weights = ops.Multiply(ops.Reshape(patches.Mask, 1, count), ops.Constant(regions, 1, Thirds + 1, count));
        var shares = ops.Divide(weights, ops.Add(ops.SumLast(weights), ops.Constant(PatchFeatures.Tiny)));
        // As many shares as frames, also where one mask serves all: a product that broadcasts would hand its matrices' addresses to the GPU
        // anew for each run, which a CUDA graph cannot.
        var sharesOfEach = PatchFeatures.OfEach(ops, patches, shares, 1, count);
        _means = ops.Reshape(ops.MatMul(sharesOfEach, ops.Reshape(all, count, MeanColumns.Count)), (Thirds + 1) * MeanColumns.Count);
        // Where nothing counts every mean is 0.
        var logs = ops.Log(ops.Add(ops.Slice(_means, 0, MeanColumns.Logs), ops.Constant(1e-30)));
        _statistics = ops.Concat(ops.Multiply(logs, ops.Constant(MeanColumns.Exponents, 1, MeanColumns.Logs)), _means, LogDeviations());
    }

    /// <summary>Some of what <see cref="MeanColumns"/> numbers, <c>[N, …]</c>.</summary>
    public T Pick(params IEnumerable<int>[] columns) => _ops.Columns(_statistics, [.. columns.SelectMany(numbers => numbers)]);

    /// <summary>Log standard deviation of each colour over the patches, <c>[N, 3]</c>.</summary>
    private T LogDeviations()
    {
        var squares = _ops.Slice(_means, MeanColumns.FirstColour + MeanColumns.Colours, MeanColumns.Colours);
        var means = _ops.Slice(_means, MeanColumns.FirstColour, MeanColumns.Colours);
        var deviation = _ops.Sqrt(_ops.Clip(_ops.Subtract(squares, _ops.Square(means)), 0, 1e6f));
        return _ops.Log(_ops.Add(deviation, _ops.Constant(1e-3)));
    }
}
