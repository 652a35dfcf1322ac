using OutlierPipeline.Frames;

namespace OutlierPipeline.Training.Networks;

/// <summary>
/// Draws pictures of codes: a dense layer onto a sixteenth of the resolution, then four times convolution and pixel shuffle, in channels of
/// 128, 64, 32 and 16. What it draws is added to the mean training picture, so that it begins with a street.
/// </summary>
/// <remarks>After Radford, Metz and Chintala, ICLR 2016, without batch normalisation. Pixel shuffle: Shi et al., CVPR 2016.</remarks>
public sealed class PictureGenerator
{
    /// <summary>Weight of the last convolution, which draws.</summary>
    public const string DrawWeight = "up4.weight";

    /// <summary>The mean picture, <c>[3, H, W]</c>, as the logarithm of the odds of white; trained on.</summary>
    public const string Mean = "mean.bias";

    private const int Factor = 16;

    /// <summary>Beyond it a pixel is black or white.</summary>
    private const float Limit = 12;

    private static readonly int[] Channels = [128, 64, 32, 16, 3];
    private readonly long _rows;
    private readonly long _columns;

    /// <param name="size">Height and width, multiples of 16.</param>
    /// <param name="latent">Dimensions of the code, Z.</param>
    /// <exception cref="ArgumentException">A side is no multiple of 16, or the code has no dimension.</exception>
    public PictureGenerator(FrameSize size, int latent)
    {
        if (size.Height < Factor || size.Width < Factor || size.Height % Factor != 0 || size.Width % Factor != 0)
            throw new ArgumentException($"height and width must be multiples of {Factor}; they are {size.Height} and {size.Width}",
                nameof(size));
        if (latent is < 1 or > 4096) throw new ArgumentException($"the code must have 1 to 4096 dimensions, not {latent}", nameof(latent));
        Size = size;
        Latent = latent;
        _rows = size.Height / Factor;
        _columns = size.Width / Factor;
    }

    public FrameSize Size { get; }

    public int Latent { get; }

    /// <summary>Name, shape and fan-in of every weight; biases have a fan-in of 0.</summary>
    public IEnumerable<(string Name, long[] Shape, long FanIn)> Weights()
    {
        long expanded = Channels[0] * _rows * _columns;
        return
        [
            ("expand.weight", [Latent, expanded], Latent), ("expand.bias", [expanded], 0),
            .. Enumerable.Range(1, 4).SelectMany(k => new (string, long[], long)[]
            {
                ($"up{k}.weight", [4 * Channels[k], Channels[k - 1], 3, 3], 9 * Channels[k - 1]), ($"up{k}.bias", [4 * Channels[k]], 0),
            }),
            (Mean, [3, Size.Height, Size.Width], 0),
        ];
    }

    /// <summary>Multiplications and additions of one picture, counted as two.</summary>
    public long FlopsPerPicture() => 2 * (Latent * Channels[0] * _rows * _columns
        + Enumerable.Range(1, 4).Sum(k => 36L * Channels[k - 1] * Channels[k] * (_rows << (k - 1)) * (_columns << (k - 1))));

    /// <summary>Planes of red, green and blue from 0 to 1, <c>[N, 3, H, W]</c>.</summary>
    /// <param name="code"><c>[N, Z]</c>.</param>
    public T Draw<T>(TensorOps<T> ops, T code)
    {
        var h = ops.Reshape(ops.Dense(code, ops.Weight("expand.weight"), ops.Weight("expand.bias")), Channels[0], _rows, _columns);
        for (int k = 1; k <= 4; k++)
            h = ops.PixelShuffle(ops.Conv(ops.LeakyRelu(h), ops.Weight($"up{k}.weight"), ops.Weight($"up{k}.bias"), 1, 1), 2);
        var odds = ops.Clip(ops.Add(h, ops.Weight(Mean)), -Limit, Limit);
        return ops.Divide(ops.Constant(1), ops.Add(ops.Constant(1), ops.Exp(ops.Subtract(ops.Constant(0), odds))));
    }
}
