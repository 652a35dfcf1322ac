using static TorchSharp.torch;

namespace OutlierPipeline.Training.Features;

/// <summary>
/// Density of mean and log energy of the standardised residual of each value, over the frame. Two-sided: fog and blur, which are easier to
/// draw, are as far out as noise.
/// </summary>
/// <remarks>
/// Morningstar et al., Density of States Estimation for Out-of-Distribution Detection, AISTATS 2021, with a Gaussian for the density.
/// </remarks>
public sealed class ResidualScore : CellScore
{
    private ShrunkDensity? _density;

    public override string Name => "residual";

    public override bool IsCombined => true;

    /// <summary><c>[N, 2 C]</c>.</summary>
    public override T Features<T>(TensorOps<T> ops, CellInputs<T> inputs)
    {
        var network = inputs.Network;
        var rows = ops.Constant([.. Enumerable.Repeat(1f, network.Rows)], 1, 1, network.Rows);
        var count = Count(ops, inputs.Counted);
        return Moments(ops, Mean(inputs.RowSums), Mean(inputs.RowSquares), 1e-3);

        T Mean(T sums) =>
            ops.Divide(ops.Reshape(ops.MatMul(rows, ops.Reshape(sums, network.Rows, network.Channels)), network.Channels), count);
    }

    public override void Fit(Tensor features) => _density = ShrunkDensity.Fit(features);

    public override T Compute<T>(TensorOps<T> ops, T features) => _density!.Distance(ops, features);
}

/// <summary>
/// The same density over strips: each row of cells against what is normal at its height, and the strangest of them. Finds dead rows, and
/// what is at one height alone.
/// </summary>
/// <remarks>
/// As <see cref="ResidualScore"/>; place by place as in Defard et al., PaDiM, ICPR 2021, the covariance shared by all heights.
/// </remarks>
public sealed class StripsScore(FeatureNetwork network) : CellScore
{
    private const int Smoothing = 3;
    private ShrunkDensity? _density;
    private float[] _means = [];
    private float[] _location = [];
    private float[] _scale = [];

    private int Width => 2 * network.Channels;

    public override string Name => "strips";

    public override bool IsWatched => true;

    /// <summary>The h rows of 2 C values, then which of them have a cell that counts, <c>[N, h · 2 C + h]</c>.</summary>
    public override T Features<T>(TensorOps<T> ops, CellInputs<T> inputs)
    {
        var counted = ops.Reshape(inputs.Counted, network.Rows, network.Columns);
        var count = Count(ops, counted);
        var moments = Moments(ops, ops.Divide(inputs.RowSums, count), ops.Divide(inputs.RowSquares, count), 1e-2);
        var has = ops.Reshape(ops.Clip(ops.SumLast(counted), 0, 1), network.Rows);
        // As many rows of the mask as there are frames.
        var frames = ops.Reshape(ops.Multiply(ops.Slice(moments, 0, 1), ops.Constant(0)), network.Rows);
        return ops.Concat(ops.Reshape(moments, network.Rows * Width), ops.Add(frames, has));
    }

    public override void Fit(Tensor features)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var rows = features.narrow(1, 0, network.Rows * Width).reshape(-1, network.Rows, Width);
        var has = features.narrow(1, network.Rows * Width, network.Rows);
        _means = Places.Values(Places.SmoothRows(rows.mean([0L]), Smoothing));
        var centred = (rows - tensor(_means, [1, network.Rows, Width])).reshape(-1, Width);
        using var kept = centred[has.reshape(-1) > 0];
        _density = ShrunkDensity.Fit(kept);
        var ops = new TorchOps(new Dictionary<string, Tensor>(), CPU);
        var distance = _density.Distance(ops, centred).reshape(-1, network.Rows);
        _location = Places.Values(distance.mean([0L]));
        _scale = Places.Values(distance.std(0) + 0.05);
    }

    public override T Compute<T>(TensorOps<T> ops, T features)
    {
        var rows = ops.Subtract(ops.Reshape(ops.Slice(features, 0, network.Rows * Width), network.Rows, Width),
            ops.Constant(_means, 1, network.Rows, Width));
        var distance = ops.Reshape(_density!.Distance(ops, ops.Reshape(rows, Width)), network.Rows);
        var standardised = ops.Divide(ops.Subtract(distance, ops.Constant(_location, network.Rows)), ops.Constant(_scale, network.Rows));
        return ops.MaxLast(ops.Multiply(standardised, ops.Slice(features, network.Rows * Width, network.Rows)));
    }
}

/// <summary>
/// The strangest places: the mean over the highest hundredth of the cells of how far a cell's error lies above what is normal in its place.
/// Finds what is small. Its map is the error map.
/// </summary>
/// <remarks>
/// Baur, Wiestler, Albarqouni and Navab, Autoencoders for unsupervised anomaly segmentation in brain MR images, Medical Image Analysis
/// 2021; standardised by place as in PaDiM.
/// </remarks>
public sealed class PlacesScore(FeatureNetwork network, string name, bool isLikelihood, bool isCombined) : CellScore
{
    private const double Highest = 0.01;
    private float[] _location = [];
    private float[] _scale = [];

    public override string Name => name;

    public override bool IsLocal => true;

    public override bool IsCombined => isCombined;

    /// <summary>The cells' errors, then which of them count, <c>[N, 2 h·w]</c>.</summary>
    public override T Features<T>(TensorOps<T> ops, CellInputs<T> inputs)
    {
        var errors = isLikelihood ? inputs.LogLikelihood : inputs.Squares;
        return ops.Concat(errors, ops.Add(ops.Multiply(errors, ops.Constant(0)), inputs.Counted));
    }

    public override void Fit(Tensor features)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var maps = features.narrow(1, 0, network.Cells).reshape(-1, network.Rows, network.Columns);
        _location = Places.Values(Places.Smooth(maps.mean([0L])));
        _scale = Places.Values(Places.Smooth(maps.std(0)) + 1e-3);
    }

    /// <summary>
    /// How many deviations each cell's error lies above what is normal in its place, <c>[N, h·w]</c>; 0 where nothing counts.
    /// </summary>
    public T Map<T>(TensorOps<T> ops, T features)
    {
        var errors = ops.Subtract(ops.Slice(features, 0, network.Cells), ops.Constant(_location, network.Cells));
        return ops.Multiply(ops.Divide(errors, ops.Constant(_scale, network.Cells)), ops.Slice(features, network.Cells, network.Cells));
    }

    public override T Compute<T>(TensorOps<T> ops, T features) =>
        ops.TopMean(Map(ops, features), (int)Math.Ceiling(Highest * network.Cells));
}

/// <summary>
/// Density of mean and log deviation of the cells' codes over the frame: does the frame's code lie where those of normal frames lay.
/// </summary>
/// <remarks>
/// Lee, Lee, Lee and Shin, A simple unified framework for detecting out-of-distribution samples, NeurIPS 2018, eq. 1, with one class.
/// </remarks>
public sealed class CodesScore : CellScore
{
    private ShrunkDensity? _density;

    public override string Name => "codes";

    public override bool IsWatched => true;

    /// <summary><c>[N, 2 K]</c>.</summary>
    public override T Features<T>(TensorOps<T> ops, CellInputs<T> inputs)
    {
        var network = inputs.Network;
        var weights = ops.Reshape(inputs.Counted, 1, network.Cells);
        var count = Count(ops, inputs.Counted);
        var mean = Mean(inputs.Code);
        var variance = ops.Clip(ops.Subtract(Mean(ops.Square(inputs.Code)), ops.Square(mean)), 0, float.MaxValue);
        return ops.Concat(mean, ops.Log(ops.Add(ops.Sqrt(variance), ops.Constant(1e-3))));

        T Mean(T codes) => ops.Divide(ops.Reshape(ops.MatMul(weights, codes), network.Code), count);
    }

    public override void Fit(Tensor features) => _density = ShrunkDensity.Fit(features, isPrincipal: true);

    public override T Compute<T>(TensorOps<T> ops, T features) =>
        ShrunkDensity.LogMeanSquare(ops, FrameCode(ops, features), _density!.Dimensions);

    /// <summary>
    /// The frame's code, <c>[N, 2 K]</c>: uncorrelated and of variance 1 on normal frames, so that codes can be drawn from the standard
    /// normal distribution.
    /// </summary>
    public T FrameCode<T>(TensorOps<T> ops, T features) => _density!.Whitened(ops, features);
}

/// <summary>Maps of what is normal in each place.</summary>
internal static class Places
{
    /// <summary>Mean over 3 × 5 places around each, <c>[h, w]</c>: few frames say little of one place.</summary>
    public static Tensor Smooth(Tensor map) =>
        nn.functional.avg_pool2d(map.unsqueeze(0).unsqueeze(0), (3, 5), stride: (1, 1), padding: (1, 2),
        count_include_pad: false).squeeze(0).squeeze(0);

    /// <summary>Mean over some rows around each, <c>[h, F]</c>.</summary>
    public static Tensor SmoothRows(Tensor rows, int count) =>
        nn.functional.avg_pool2d(rows.unsqueeze(0).unsqueeze(0), (count, 1), stride: (1, 1), padding: (count / 2, 0),
        count_include_pad: false).squeeze(0).squeeze(0);

    public static float[] Values(Tensor tensor) => tensor.contiguous().data<float>().ToArray();
}
