using OutlierPipeline.Frames;

namespace OutlierPipeline.Training.Networks;

/// <summary>
/// Draws a picture of a segmentation map and noise: four convolutions that halve the resolution, the noise at the bottom, and four times
/// pixel shuffle back, each joined with what was seen at that resolution. Colours begin with the mean colour of each class.
/// </summary>
/// <remarks>
/// Isola et al., CVPR 2017: a U-Net generator; the noise is a code here and not dropout alone, so that a seed repeats a picture.
/// </remarks>
public sealed class MapPainter
{
    /// <summary>Weight of the last convolution, which draws.</summary>
    public const string DrawWeight = "draw.weight";

    /// <summary>The mean colour of each class, <c>[3, C, 1, 1]</c>, as the logarithm of the odds of white; trained on.</summary>
    public const string Colours = "colours.bias";

    /// <summary>Length of the noise.</summary>
    public const int Noise = 16;

    private const int Factor = 16;

    /// <summary>Beyond it a pixel is black or white.</summary>
    private const float Limit = 12;

    /// <summary>At each resolution, the finest first.</summary>
    private static readonly int[] Channels = [24, 32, 64, 96, 128];

    private readonly int _classes;

    /// <param name="size">Height and width, multiples of 16.</param>
    /// <param name="classes">Of maps, C.</param>
    /// <exception cref="ArgumentException">A side is no multiple of 16.</exception>
    public MapPainter(FrameSize size, int classes)
    {
        if (size.Height < Factor || size.Width < Factor || size.Height % Factor != 0 || size.Width % Factor != 0)
            throw new ArgumentException($"height and width must be multiples of {Factor}; they are {size.Height} and {size.Width}",
                nameof(size));
        (Size, _classes) = (size, classes);
    }

    /// <summary>Of maps and pictures.</summary>
    public FrameSize Size { get; }

    /// <summary>Name, shape and fan-in of every weight; biases have a fan-in of 0.</summary>
    public IEnumerable<(string Name, long[] Shape, long FanIn)> Weights() =>
    [
        (Colours, [3, _classes, 1, 1], 0), ("colours.none.bias", [3], 0),
        ("see0.weight", [Channels[0], _classes, 3, 3], 9L * _classes), ("see0.bias", [Channels[0]], 0),
        .. Enumerable.Range(1, 4).SelectMany(k => new (string, long[], long)[]
        {
            ($"see{k}.weight", [Channels[k], Channels[k - 1], 4, 4], 16L * Channels[k - 1]), ($"see{k}.bias", [Channels[k]], 0),
            ($"up{k}.weight", [4 * Channels[k - 1], Channels[k], 3, 3], 9L * Channels[k]), ($"up{k}.bias", [4 * Channels[k - 1]], 0),
        }),
        ("noise.weight", [Noise, Channels[4]], Noise), ("noise.bias", [Channels[4]], 0),
        (DrawWeight, [3, Channels[0], 3, 3], 9L * Channels[0]), ("draw.bias", [3], 0),
    ];

    /// <summary>Multiplications and additions of one picture, counted as two.</summary>
    public long FlopsPerPicture() => 2 * Weights().Where(weight => weight.Shape.Length == 4 && weight.FanIn > 0).Sum(weight =>
    {
        int halvings = weight.Name[..2] is "se" or "up" ? weight.Name[weight.Name.IndexOf('.', StringComparison.Ordinal) - 1] - '0' : 0;
        return weight.Shape.Aggregate(1L, (product, side) => product * side) * (Size.Height >> halvings) * (Size.Width >> halvings);
    });

    /// <summary>Planes of red, green and blue from 0 to 1, <c>[N, 3, H, W]</c>.</summary>
    /// <param name="map">1 in the plane of a pixel's class, else 0, <c>[N, C, H, W]</c>.</param>
    /// <param name="noise"><c>[N, 16]</c>.</param>
    public static T Draw<T>(TensorOps<T> ops, T map, T noise)
    {
        var seen = new T[Channels.Length];
        seen[0] = ops.LeakyRelu(Conv(map, "see0", 1));
        for (int k = 1; k < seen.Length; k++) seen[k] = ops.LeakyRelu(Conv(seen[k - 1], $"see{k}", 2));
        var drawn = ops.Reshape(ops.Dense(noise, ops.Weight("noise.weight"), ops.Weight("noise.bias")), Channels[4], 1, 1);
        var h = ops.Add(seen[4], drawn);
        for (int k = 4; k >= 1; k--)
            h = ops.LeakyRelu(ops.Add(ops.PixelShuffle(Conv(h, $"up{k}", 1), 2), seen[k - 1]));
        var plain = ops.Conv(map, ops.Weight(Colours), ops.Weight("colours.none.bias"), 1, 0);
        var odds = ops.Clip(ops.Add(Conv(h, "draw", 1), plain), -Limit, Limit);
        return ops.Divide(ops.Constant(1), ops.Add(ops.Constant(1), ops.Exp(ops.Subtract(ops.Constant(0), odds))));

        T Conv(T planes, string layer, int stride) =>
            ops.Conv(planes, ops.Weight(layer + ".weight"), ops.Weight(layer + ".bias"), stride, 1);
    }
}
