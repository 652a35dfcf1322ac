using OutlierPipeline.Frames;

namespace OutlierPipeline.Training.Networks;

/// <summary>
/// A convolutional variational autoencoder of 8×8 patches: a patch stem, residual blocks in channels of 64 and 128, a dense code, and pixel
/// shuffle back to pixels. Shapes that matrix units like, on CPU and GPU, and nothing that does not export cleanly.
/// </summary>
/// <remarks>
/// Kingma and Welling, Auto-Encoding Variational Bayes, ICLR 2014. The observation variance is the optimal one of Rybkin, Daniilidis and
/// Levine, Simple and Effective VAE Training with Calibrated Decoders, ICML 2021 (eq. 9).
/// </remarks>
public sealed class PatchVae
{
    public const int Patch = 8;
    public const string Paper = "Kingma and Welling, ICLR 2014; Rybkin, Daniilidis and Levine, ICML 2021";
    private const int Fine = 64;
    private const int Coarse = 128;
    private const int Neck = 32;
    private readonly long _rows;
    private readonly long _columns;

    /// <param name="size">Height and width, multiples of 16.</param>
    /// <param name="latent">Dimensions of the code, Z.</param>
    /// <exception cref="ArgumentException">A side is no multiple of 16.</exception>
    public PatchVae(FrameSize size, int latent)
    {
        if (size.Height % (2 * Patch) != 0 || size.Width % (2 * Patch) != 0) throw new ArgumentException($"height and width must be multiples of {2 * Patch}; they are {size.Height} and {size.Width}", nameof(size));
        Size = size;
        Latent = latent;
        _rows = size.Height / (2 * Patch);
        _columns = size.Width / (2 * Patch);
    }

    public FrameSize Size { get; }

    public int Latent { get; }

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
            .. Dense("logVariance", code, Latent),
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

    /// <summary>Mean and log-variance of the code, <c>[N, Z]</c> each.</summary>
    /// <param name="x"><c>[N, 3, H, W]</c>, from −0.5 to 0.5.</param>
    public (T Mean, T LogVariance) Encode<T>(TensorOps<T> ops, T x)
    {
        var h = ops.LeakyRelu(Apply(ops, x, "stem", Patch, 0));
        h = Residual(ops, h, "fine1");
        h = ops.LeakyRelu(Apply(ops, h, "down", 2, 0));
        h = Residual(ops, h, "coarse1");
        h = ops.LeakyRelu(Apply(ops, h, "neck", 1, 0));
        h = ops.Reshape(h, Neck * _rows * _columns);
        return (Linear(ops, h, "mean"), ops.Clip(Linear(ops, h, "logVariance"), -10, 10));
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
