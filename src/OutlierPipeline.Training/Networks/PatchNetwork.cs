using OutlierPipeline.Frames;

namespace OutlierPipeline.Training.Networks;

/// <summary>
/// A convolutional autoencoder of 8×8 patches, variational or not: a patch stem, residual blocks in channels of 64 and 128, a dense code, and
/// pixel shuffle back to pixels. Shapes that matrix units like, on CPU and GPU; there is no batch normalisation, whose statistics would have to
/// travel, and nothing else that does not export cleanly.
/// </summary>
/// <remarks>Residual blocks: He et al., CVPR 2016. Pixel shuffle: Shi et al., CVPR 2016.</remarks>
public sealed class PatchNetwork
{
    /// <summary>Side of a patch in pixels; the error map has a cell a patch.</summary>
    public const int Patch = 8;

    /// <summary>Name of the mean training picture, <c>[1, 3, H, W]</c>, which stands where the mask leaves pixels out; it is not trained.</summary>
    public const string Fill = "fill";

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
        if (size.Height < 2 * Patch || size.Width < 2 * Patch) throw new ArgumentException($"height and width must be at least {2 * Patch}; they are {size.Height} and {size.Width}", nameof(size));
        if (latent is < 1 or > 4096) throw new ArgumentException($"the code must have 1 to 4096 dimensions, not {latent}", nameof(latent));
        if (size.Height % (2 * Patch) != 0 || size.Width % (2 * Patch) != 0) throw new ArgumentException($"height and width must be multiples of {2 * Patch}; they are {size.Height} and {size.Width}", nameof(size));
        Size = size;
        Latent = latent;
        IsVariational = isVariational;
        _rows = size.Height / (2 * Patch);
        _columns = size.Width / (2 * Patch);
    }

    public FrameSize Size { get; }

    public int Latent { get; }

    /// <summary>Whether the code is a distribution, with a mean and a variance, or a point.</summary>
    public bool IsVariational { get; }

    /// <summary>A size of the pictures' shape, of some 15,000 pixels: sides are multiples of 16.</summary>
    public static FrameSize SizeFor(int width, int height)
    {
        const double Pixels = 96 * 160;
        double ratio = (double)width / height;
        return Enumerable.Range(2, 30).SelectMany(h => Enumerable.Range(2, 30).Select(w => new FrameSize(16 * h, 16 * w)))
            .Where(size => size.Height * size.Width is > (int)(0.7 * Pixels) and < (int)(1.25 * Pixels))
            .MinBy(size => Math.Abs(Math.Log(size.Width / (double)size.Height / ratio)) + 0.03 * Math.Abs(Math.Log(size.Height * size.Width / Pixels)));
    }

    /// <summary>Name, shape and fan-in of every weight; biases have a fan-in of 0.</summary>
    public IEnumerable<(string Name, long[] Shape, long FanIn)> Weights()
    {
        long code = Neck * _rows * _columns;
        return
        [
            .. Convolution("stem", 3, Fine, Patch),
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
            .. Convolution("pixels", Fine, 3 * Patch * Patch, 1),
        ];
    }

    /// <summary>Multiplications and additions of one frame's pass, counted as two.</summary>
    public long FlopsPerFrame()
    {
        long fine = 4 * _rows * _columns;
        long coarse = _rows * _columns;
        return Weights().Where(weight => weight.FanIn > 0).Sum(weight =>
        {
            long elements = weight.Shape.Aggregate(1L, (product, side) => product * side);
            bool isDense = weight.Shape.Length == 2;
            bool isFine = weight.Name.StartsWith("fine", StringComparison.Ordinal) || weight.Name is "stem.weight" or "pixels.weight";
            return 2 * elements * (isDense ? 1 : isFine ? fine : coarse);
        });
    }

    /// <summary>The picture with the mean training picture where the mask is 0.</summary>
    /// <param name="x"><c>[N, 3, H, W]</c>, from −0.5 to 0.5.</param>
    /// <param name="mask"><c>[N or 1, 1, H, W]</c>, 0 or 1.</param>
    public static T Filled<T>(TensorOps<T> ops, T x, T mask) => ops.Add(ops.Multiply(x, mask), ops.Multiply(ops.Weight(Fill), ops.Subtract(ops.Constant(1), mask)));

    /// <summary>Mean and log-variance of the code, <c>[N, Z]</c> each; no log-variance where the code is a point.</summary>
    /// <param name="x"><c>[N, 3, H, W]</c>, from −0.5 to 0.5.</param>
    public (T Mean, T? LogVariance) Encode<T>(TensorOps<T> ops, T x)
    {
        var h = ops.LeakyRelu(Apply(ops, x, "stem", Patch, 0));
        h = Residual(ops, h, "fine1");
        h = ops.LeakyRelu(Apply(ops, h, "down", 2, 0));
        h = Residual(ops, h, "coarse1");
        h = ops.LeakyRelu(Apply(ops, h, "neck", 1, 0));
        h = ops.Reshape(h, Neck * _rows * _columns);
        return (Linear(ops, h, "mean"), IsVariational ? ops.Clip(Linear(ops, h, "logVariance"), -10, 10) : default);
    }

    /// <summary>The picture of a code, <c>[N, 3, H, W]</c>, around −0.5 to 0.5.</summary>
    public T Decode<T>(TensorOps<T> ops, T code)
    {
        var h = ops.LeakyRelu(ops.Reshape(Linear(ops, code, "expand"), Coarse, _rows, _columns));
        h = Residual(ops, h, "coarse2");
        h = ops.LeakyRelu(ops.PixelShuffle(Apply(ops, h, "up", 1, 0), 2));
        h = Residual(ops, h, "fine2");
        return ops.PixelShuffle(Apply(ops, h, "pixels", 1, 0), Patch);
    }

    private static IEnumerable<(string, long[], long)> Convolution(string name, long inputs, long outputs, long size) =>
        [($"{name}.weight", [outputs, inputs, size, size], inputs * size * size), ($"{name}.bias", [outputs], 0)];

    private static IEnumerable<(string, long[], long)> Dense(string name, long inputs, long outputs) =>
        [($"{name}.weight", [inputs, outputs], inputs), ($"{name}.bias", [outputs], 0)];

    private static IEnumerable<(string, long[], long)> Block(string name, long channels) =>
        [.. Convolution($"{name}.a", channels, channels, 3), .. Convolution($"{name}.b", channels, channels, 3)];

    private static T Apply<T>(TensorOps<T> ops, T x, string name, int stride, int padding) => ops.Conv(x, ops.Weight($"{name}.weight"), ops.Weight($"{name}.bias"), stride, padding);

    private static T Linear<T>(TensorOps<T> ops, T x, string name) => ops.Add(ops.MatMul(x, ops.Weight($"{name}.weight")), ops.Weight($"{name}.bias"));

    private static T Residual<T>(TensorOps<T> ops, T x, string name)
    {
        var h = ops.LeakyRelu(Apply(ops, x, $"{name}.a", 1, 1));
        return ops.LeakyRelu(ops.Add(x, Apply(ops, h, $"{name}.b", 1, 1)));
    }
}
