using OutlierPipeline.Frames;

namespace OutlierPipeline.Training.Networks;

/// <summary>
/// A convolutional autoencoder of 8×8 patches, variational or not: a patch transform and stem, residual blocks in channels of 64 and 128, a
/// dense code, and
/// pixel shuffle back to pixels. Shapes that matrix units like, on CPU and GPU; there is no batch normalisation, whose statistics would
/// have to
/// travel, and nothing else that does not export cleanly.
/// </summary>
/// <remarks>Residual blocks: He et al., CVPR 2016. Pixel shuffle: Shi et al., CVPR 2016.</remarks>
public sealed class PatchNetwork
{
    /// <summary>Side of a patch in pixels; the error map has a cell a patch.</summary>
    public const int Patch = PatchTransform.Side;

    /// <summary>
    /// Name of the coefficients of the mean training picture, <c>[1, h·w, 72]</c>, which stand where the mask leaves patches out; they are
    /// not trained.
    /// </summary>
    public const string Fill = "fill";

    /// <summary>Weight of the last product, which draws; behind it are scores.</summary>
    public const string DrawWeight = "draw.weight";

    private const string StemWeight = "stem.weight";
    private const int Fine = 64;
    private const int Coarse = 128;
    private const int Neck = 64;
    private readonly long _rows;
    private readonly long _columns;

    /// <param name="size">Height and width, multiples of 16.</param>
    /// <param name="latent">Dimensions of the code, Z.</param>
    /// <param name="isVariational">Whether the code is a distribution.</param>
    /// <exception cref="ArgumentException">A side is no multiple of 16, or the code has no dimension.</exception>
    public PatchNetwork(FrameSize size, int latent, bool isVariational)
    {
        if (size.Height < 2 * Patch || size.Width < 2 * Patch)
            throw new ArgumentException($"height and width must be at least {2 * Patch}; they are {size.Height} and {size.Width}",
                nameof(size));
        if (latent is < 1 or > 4096) throw new ArgumentException($"the code must have 1 to 4096 dimensions, not {latent}", nameof(latent));
        if (size.Height % (2 * Patch) != 0 || size.Width % (2 * Patch) != 0)
            throw new ArgumentException($"height and width must be multiples of {2 * Patch}; they are {size.Height} and {size.Width}",
                nameof(size));
        Size = size;
        Latent = latent;
        IsVariational = isVariational;
        _rows = size.Height / (2 * Patch);
        _columns = size.Width / (2 * Patch);
    }

    public FrameSize Size { get; }

    /// <summary>Patches of a picture, h·w.</summary>
    public int Cells => (int)(4 * _rows * _columns);

    public int Latent { get; }

    /// <summary>Whether the code is a distribution, with a mean and a variance, or a point.</summary>
    public bool IsVariational { get; }

    /// <summary>A size of the pictures' shape, of some 15,000 pixels unless stated: sides are multiples of 16.</summary>
    public static FrameSize SizeFor(int width, int height, int pixels = 96 * 160)
    {
        double ratio = (double)width / height;
        return Enumerable.Range(2, 30).SelectMany(h => Enumerable.Range(2, 30).Select(w => new FrameSize(16 * h, 16 * w)))
            .Where(size => size.Height * size.Width is var area && area > (int)(0.7 * pixels) && area < (int)(1.25 * pixels))
            .MinBy(size =>
            Math.Abs(Math.Log(size.Width / (double)size.Height / ratio))
            + 0.03 * Math.Abs(Math.Log(size.Height * size.Width / (double)pixels)));
    }

    /// <summary>Name, shape and fan-in of every weight; biases have a fan-in of 0.</summary>
    public IEnumerable<(string Name, long[] Shape, long FanIn)> Weights()
    {
        long code = Neck * _rows * _columns;
        return
        [
            (StemWeight, [PatchTransform.Coefficients, Fine], PatchTransform.Values), ("stem.bias", [Fine], 0),
            .. Block("fine1", Fine),
            .. Convolution("down", Fine, Coarse, 2),
            .. Block("coarse1", Coarse),
            .. Convolution("neck", Coarse, Neck, 1),
            .. Dense("mean", code, Latent),
            .. IsVariational ? Dense("logVariance", code, Latent) : [],
            .. Dense("expand", Latent, Coarse * _rows * _columns),
            .. Block("coarse2", Coarse),
            .. Convolution("up", Coarse, 4 * Fine, 1),
            .. Block("fine2", Fine),
            .. Dense("draw", Fine, PatchTransform.Coefficients),
        ];
    }

    /// <summary>
    /// Multiplications and additions of one frame's pass, counted as two; the reconstruction's pixels, which scores do not need, are left
    /// out.
    /// </summary>
    public long FlopsPerFrame()
    {
        long fine = 4 * _rows * _columns;
        long coarse = _rows * _columns;
        long transform = 2L * PatchTransform.Values * PatchTransform.Coefficients * fine;
        return transform + Weights().Where(weight => weight.FanIn > 0).Sum(weight =>
        {
            long elements = weight.Shape.Aggregate(1L, (product, side) => product * side);
            bool isFine = weight.Name.StartsWith("fine", StringComparison.Ordinal) || weight.Name is StemWeight or DrawWeight;
            bool isOnce = weight.Name is "mean.weight" or "logVariance.weight" or "expand.weight";
            return 2 * elements * (isOnce ? 1 : isFine ? fine : coarse);
        });
    }

    /// <summary>A picture's patches in grey levels, <c>[N·h·w, 192]</c>.</summary>
    /// <param name="pixels">Grey levels, <c>[N, H, W, 3]</c>.</param>
    public T Patches<T>(TensorOps<T> ops, T pixels) => ops.ToFloat(ops.ToPatches(pixels, Size, 3, Patch));

    /// <summary>
    /// 1 for patches of which every pixel counts, else 0, <c>[N or 1, h·w]</c>: in the others the mask's edge would be taken for the
    /// picture's.
    /// </summary>
    /// <param name="mask"><c>[N or 1, H, W]</c>, 0 or 1.</param>
    public T Counted<T>(TensorOps<T> ops, T mask)
    {
        const int Pixels = Patch * Patch;
        var counts = ops.SumLast(ops.ToFloat(ops.ToPatches(mask, Size, 1, Patch)));
        return ops.Reshape(ops.Clip(ops.Subtract(counts, ops.Constant(Pixels - 1)), 0, 1), Cells);
    }

    /// <summary>Coefficients of patches with those of the mean training picture where nothing counts.</summary>
    /// <param name="counted">Of <see cref="Counted"/>.</param>
    public T Filled<T>(TensorOps<T> ops, T coefficients, T counted)
    {
        var counts = ops.Reshape(counted, Cells, 1);
        var fill = ops.Multiply(ops.Weight(Fill), ops.Subtract(ops.Constant(1), counts));
        return ops.Reshape(ops.Add(ops.Multiply(ops.Reshape(coefficients, Cells, PatchTransform.Coefficients), counts), fill),
            PatchTransform.Coefficients);
    }

    /// <summary>Coefficients of patches, <c>[N·h·w, 72]</c>, of values from −0.5 to 0.5.</summary>
    /// <param name="patches">Grey levels, <c>[N·h·w, 192]</c>.</param>
    public static T Analyse<T>(TensorOps<T> ops, T patches)
    {
        // Scale and offset are part of the product.
        float[] weight = [.. PatchTransform.Analysis.Select(value => value / 255)];
        float[] bias = [.. Enumerable.Range(0, PatchTransform.Coefficients).Select(k =>
            -0.5f * Enumerable.Range(0, PatchTransform.Values).Sum(value =>
            PatchTransform.Analysis[value * PatchTransform.Coefficients + k]))];
        return ops.Dense(patches, ops.Constant(weight, PatchTransform.Values, PatchTransform.Coefficients),
            ops.Constant(bias, PatchTransform.Coefficients));
    }

    /// <summary>Patches of coefficients, <c>[N·h·w, 192]</c>, around −0.5 to 0.5.</summary>
    public static T Synthesise<T>(TensorOps<T> ops, T coefficients) =>
        ops.MatMul(coefficients, ops.Constant(PatchTransform.Synthesis, PatchTransform.Coefficients, PatchTransform.Values));

    /// <summary>Planes of red, green and blue of coefficients, around 0 to 1, <c>[N, 3, H, W]</c>.</summary>
    public T Planes<T>(TensorOps<T> ops, T coefficients)
    {
        var pixels = ops.FromPatches(ops.Add(Synthesise(ops, coefficients), ops.Constant(0.5)), Size, 3, Patch);
        return ops.ToPlanes(pixels, 3, Size.Height, Size.Width);
    }

    /// <summary>
    /// What the first values of a weight are multiplied with: a block begins as the identity, and the first drawing as plain grey, since
    /// from wild drawings the quickest way down is to ignore the code, and training would end there.
    /// </summary>
    public static double Gain(string weight) => weight.Contains(".b.", StringComparison.Ordinal) || weight == DrawWeight ? 0.1
        : weight == "logVariance.weight" ? 0.01 : 1;

    /// <summary>Mean and log-variance of the code, <c>[N, Z]</c> each; no log-variance where the code is a point.</summary>
    /// <param name="coefficients">Of <see cref="Analyse"/>.</param>
    public (T Mean, T? LogVariance) Encode<T>(TensorOps<T> ops, T coefficients)
    {
        var h = ops.ToPlanes(ops.LeakyRelu(Linear(ops, coefficients, "stem")), Fine, 2 * _rows, 2 * _columns);
        h = Residual(ops, h, "fine1");
        h = ops.LeakyRelu(Apply(ops, h, "down", 2, 0));
        h = Residual(ops, h, "coarse1");
        h = ops.LeakyRelu(Apply(ops, h, "neck", 1, 0));
        h = ops.Reshape(h, Neck * _rows * _columns);
        return (Linear(ops, h, "mean"), IsVariational ? ops.Clip(Linear(ops, h, "logVariance"), -10, 10) : default);
    }

    /// <summary>Coefficients of a code's drawing, <c>[N·h·w, 72]</c>.</summary>
    public T Decode<T>(TensorOps<T> ops, T code)
    {
        var h = ops.LeakyRelu(ops.Reshape(Linear(ops, code, "expand"), Coarse, _rows, _columns));
        h = Residual(ops, h, "coarse2");
        h = ops.LeakyRelu(ops.PixelShuffle(Apply(ops, h, "up", 1, 0), 2));
        return Linear(ops, ops.ToRows(Residual(ops, h, "fine2"), Fine), "draw");
    }

    private static IEnumerable<(string, long[], long)> Convolution(string name, long inputs, long outputs, long size) =>
        [($"{name}.weight", [outputs, inputs, size, size], inputs * size * size), ($"{name}.bias", [outputs], 0)];

    private static IEnumerable<(string, long[], long)> Dense(string name, long inputs, long outputs) =>
        [($"{name}.weight", [inputs, outputs], inputs), ($"{name}.bias", [outputs], 0)];

    private static IEnumerable<(string, long[], long)> Block(string name, long channels) =>
        [.. Convolution($"{name}.a", channels, channels, 3), .. Convolution($"{name}.b", channels, channels, 3)];

    private static T Apply<T>(TensorOps<T> ops, T x, string name, int stride, int padding) =>
        ops.Conv(x, ops.Weight($"{name}.weight"), ops.Weight($"{name}.bias"), stride, padding);

    private static T Linear<T>(TensorOps<T> ops, T x, string name) =>
        ops.Dense(x, ops.Weight($"{name}.weight"), ops.Weight($"{name}.bias"));

    private static T Residual<T>(TensorOps<T> ops, T x, string name)
    {
        var h = ops.LeakyRelu(Apply(ops, x, $"{name}.a", 1, 1));
        return ops.LeakyRelu(ops.Add(x, Apply(ops, h, $"{name}.b", 1, 1)));
    }
}
