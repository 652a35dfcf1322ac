using OutlierPipeline.Models;
using OutlierPipeline.Training.Features;
using static TorchSharp.torch;

namespace OutlierPipeline.Training.Paired;

/// <summary>What cells of each class are like on the training frames: a density of the backbone's values, and two scales.</summary>
/// <remarks>A Gaussian a class: Lee, Lee, Lee and Shin, A Simple Unified Framework for Detecting Out-of-Distribution Samples, NeurIPS
/// 2018; here of cells, each with a covariance of its own.</remarks>
internal sealed class ClassFit
{
    /// <summary>A class of fewer cells has the density of all.</summary>
    private const int MinCells = 1000;

    /// <summary>Cells of a class that its density is fitted to, at most.</summary>
    private const int MaxCells = 12_000;

    private readonly int _classes;
    private readonly int _channels;
    private readonly List<float[]>[] _rows;
    private readonly List<double>[] _differences;
    private readonly long[] _seen;

    public ClassFit(int classes, int channels)
    {
        (_classes, _channels) = (classes, channels);
        _rows = [.. Enumerable.Range(0, classes).Select(_ => new List<float[]>())];
        _differences = [.. Enumerable.Range(0, classes).Select(_ => new List<double>())];
        _seen = new long[classes];
    }

    /// <summary>The densities, once <see cref="End"/> was called.</summary>
    public ShrunkDensity[] Densities { get; private set; } = [];

    /// <summary>Median of the distance from the density, and from there to its 95th percentile, by class.</summary>
    public (float[] Median, float[] Spread) Distance { get; private set; }

    /// <summary>The same of the logarithm of the difference to the picture that was drawn again; of zeros where none is.</summary>
    public (float[] Median, float[] Spread) Difference { get; private set; }

    /// <summary>Each class's share of the cells.</summary>
    public double[] Shares => [.. _seen.Select(count => (double)count / Math.Max(1, _seen.Sum()))];

    /// <param name="classOf">Of each cell.</param>
    /// <param name="features">The backbone's values, a row a cell.</param>
    /// <param name="differences">The logarithm of the difference to the picture drawn again; empty where none is.</param>
    /// <param name="every">Keeps every so many cells of a class.</param>
    public void Add(ReadOnlySpan<float> classOf, ReadOnlySpan<float> features, ReadOnlySpan<float> differences, int every)
    {
        for (int cell = 0; cell < classOf.Length; cell++)
        {
            int k = (int)classOf[cell];
            if (_seen[k]++ % every != 0 || _rows[k].Count >= MaxCells) continue;
            _rows[k].Add(features.Slice(cell * _channels, _channels).ToArray());
            if (differences.Length > 0) _differences[k].Add(differences[cell]);
        }
    }

    /// <summary>Fits what was added.</summary>
    public void End()
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        float[][] all = [.. _rows.SelectMany(rows => rows)];
        var pooled = ShrunkDensity.Fit(Rows([.. all.Where((_, i) => i % Math.Max(1, all.Length / MaxCells) == 0)]));
        Densities = [.. _rows.Select(rows => rows.Count < MinCells ? pooled : ShrunkDensity.Fit(Rows(rows)))];
        Distance = Scales(k => Distances(_rows[k].Count < MinCells ? all : [.. _rows[k]], Densities[k]));
        double[] differences = [.. _differences.SelectMany(values => values)];
        Difference = differences.Length == 0 ? (new float[_classes], [.. Enumerable.Repeat(1f, _classes)])
            : Scales(k => _rows[k].Count < MinCells ? differences : [.. _differences[k]]);
    }

    private (float[] Median, float[] Spread) Scales(Func<int, double[]> valuesOf)
    {
        var (median, spread) = (new float[_classes], new float[_classes]);
        for (int k = 0; k < _classes; k++)
        {
            double[] ascending = [.. valuesOf(k).Order()];
            median[k] = (float)Quantiles.Of(ascending, 0.5);
            spread[k] = (float)Math.Max(Quantiles.Of(ascending, 0.95) - median[k], 1e-3);
        }
        return (median, spread);
    }

    private static double[] Distances(IReadOnlyList<float[]> rows, ShrunkDensity density)
    {
        using var scope = NewDisposeScope();
        var ops = new TorchOps(new Dictionary<string, Tensor>(), CPU);
        return [.. density.Distance(ops, Rows(rows)).flatten().to(float64).data<double>()];
    }

    private static Tensor Rows(IReadOnlyList<float[]> rows) =>
        tensor(rows.SelectMany(row => row).ToArray(), [rows.Count, rows[0].Length]);
}
