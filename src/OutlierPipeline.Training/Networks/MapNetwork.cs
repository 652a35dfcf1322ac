using OutlierPipeline.Frames;

namespace OutlierPipeline.Training.Networks;

/// <summary>
/// From what a frozen backbone's four stages say of a picture to the class of each place: the deepest stage first, enlarged and joined with
/// the next finer one until a place is four pixels wide. Or a linear probe: the sum of a linear classifier of each stage, as a mark to
/// compare with.
/// </summary>
/// <remarks>
/// After Ronneberger, Fischer and Brox, U-Net, MICCAI 2015, and Lin et al., Feature Pyramid Networks for Object Detection, CVPR 2017.
/// Linear probes: Alain and Bengio, Understanding Intermediate Layers Using Linear Classifier Probes, 2016.
/// </remarks>
public sealed class MapNetwork
{
    /// <summary>Side in pixels of a place that is classified.</summary>
    public const int Side = 4;

    /// <summary>Added to what speaks for a class that must never be predicted.</summary>
    private const float Never = -1e4f;

    /// <summary>Channels at each stage, the finest first.</summary>
    private static readonly int[] Widths = [32, 64, 64, 96];

    private readonly int _classes;
    private readonly float[] _allowed;

    /// <param name="size">Of pictures: height and width are multiples of 8.</param>
    /// <param name="channels">Of the four stages, whose places are 4, 8, 16 and 32 pixels apart.</param>
    /// <param name="classes">Of maps, C.</param>
    /// <param name="notPredicted">The index of void, or null.</param>
    /// <exception cref="ArgumentException">A side is no multiple of 8, or the stages are not four.</exception>
    public MapNetwork(FrameSize size, IReadOnlyList<int> channels, int classes, int? notPredicted, bool isProbe)
    {
        if (size.Height < 32 || size.Width < 32 || size.Height % 8 != 0 || size.Width % 8 != 0)
            throw new ArgumentException($"height and width must be multiples of 8 from 32; they are {size.Height} and {size.Width}",
                nameof(size));
        if (channels.Count != Widths.Length)
            throw new ArgumentException($"{Widths.Length} stages are needed, not {channels.Count}", nameof(channels));
        (Size, _classes, IsProbe) = (size, classes, isProbe);
        Stages = [.. channels.Select((count, k) => (count, Places(size.Height, Side << k), Places(size.Width, Side << k)))];
        _allowed = [.. Enumerable.Range(0, classes).Select(index => index == notPredicted ? Never : 0)];
    }

    /// <summary>Of pictures and maps.</summary>
    public FrameSize Size { get; }

    public bool IsProbe { get; }

    /// <summary>Channels, rows and columns of what each stage says.</summary>
    public IReadOnlyList<(int Channels, int Rows, int Columns)> Stages { get; }

    /// <summary>Name, shape and fan-in of every weight; biases have a fan-in of 0.</summary>
    public IEnumerable<(string Name, long[] Shape, long FanIn)> Weights()
    {
        foreach (var (channels, k) in Stages.Select((stage, k) => (stage.Channels, k)))
        {
            yield return (ShiftOf(k), [channels, 1, 1], 0);
            yield return (ScaleOf(k), [channels, 1, 1], 0);
            int width = IsProbe ? _classes : Widths[k];
            yield return ($"side{k}.weight", [width, channels, 1, 1], channels);
            yield return ($"side{k}.bias", [width], 0);
            if (IsProbe) continue;
            if (k < Widths.Length - 1)
            {
                yield return ($"up{k}.weight", [width, Widths[k + 1], 1, 1], Widths[k + 1]);
                yield return ($"up{k}.bias", [width], 0);
            }
            yield return ($"join{k}.weight", [width, width, 3, 3], 9 * width);
            yield return ($"join{k}.bias", [width], 0);
        }
        if (IsProbe) yield break;
        yield return ("judge.weight", [_classes, Widths[0], 1, 1], Widths[0]);
        yield return ("judge.bias", [_classes], 0);
    }

    /// <summary>What is taken from a stage's channels so that their mean is 0; trained on.</summary>
    public static string ShiftOf(int stage) => $"seen{stage}.shift.bias";

    /// <summary>What they are multiplied with so that their variance is 1; trained on.</summary>
    public static string ScaleOf(int stage) => $"seen{stage}.scale.bias";

    /// <summary>Multiplications and additions of one picture, counted as two.</summary>
    public long FlopsPerPicture() => 2 * Weights().Where(weight => weight.Shape.Length == 4).Sum(weight =>
    {
        int stage = weight.Name.StartsWith("judge", StringComparison.Ordinal) ? 0 : weight.Name[^8] - '0';
        // What comes up is computed before it is enlarged.
        var (_, rows, columns) = Stages[stage + (weight.Name.StartsWith("up", StringComparison.Ordinal) ? 1 : 0)];
        return weight.Shape.Aggregate(1L, (product, side) => product * side) * rows * columns;
    });

    /// <summary>Standardised planes of each stage.</summary>
    /// <param name="stages">Square roots of the backbone's values, as <see cref="Stages"/> says.</param>
    public static T[] Standardise<T>(TensorOps<T> ops, IReadOnlyList<T> stages) => [.. stages.Select((planes, k) =>
        ops.Multiply(ops.Subtract(planes, ops.Weight(ShiftOf(k))), ops.Weight(ScaleOf(k))))];

    /// <summary>The logarithms of the odds of each class, <c>[N, C, H/4, W/4]</c>.</summary>
    /// <param name="seen">Standardised planes.</param>
    public T Classify<T>(TensorOps<T> ops, IReadOnlyList<T> seen)
    {
        var h = IsProbe ? Probe(ops, seen) : Decode(ops, seen);
        return ops.Add(h, ops.Constant(_allowed, 1, _classes, 1, 1));
    }

    private T Probe<T>(TensorOps<T> ops, IReadOnlyList<T> seen)
    {
        var sum = Classified(0);
        for (int k = 1; k < seen.Count; k++) sum = ops.Add(sum, ops.Enlarge(Classified(k), 1 << k, Stages[0].Rows, Stages[0].Columns));
        return sum;

        T Classified(int k) => ops.Conv(seen[k], ops.Weight($"side{k}.weight"), ops.Weight($"side{k}.bias"), 1, 0);
    }

    private T Decode<T>(TensorOps<T> ops, IReadOnlyList<T> seen)
    {
        var h = Convolved(seen[^1], $"side{seen.Count - 1}", 0);
        for (int k = seen.Count - 1; k >= 0; k--)
        {
            if (k < seen.Count - 1)
                h = ops.Add(Convolved(seen[k], $"side{k}", 0), ops.Enlarge(Convolved(h, $"up{k}", 0), 2, Stages[k].Rows,
                    Stages[k].Columns));
            h = ops.LeakyRelu(h);
            h = ops.LeakyRelu(ops.Add(h, Convolved(h, $"join{k}", 1)));
        }
        return Convolved(h, "judge", 0);

        T Convolved(T planes, string layer, int padding) =>
            ops.Conv(planes, ops.Weight(layer + ".weight"), ops.Weight(layer + ".bias"), 1, padding);
    }

    private static int Places(int side, int stride) => (side + stride - 1) / stride;
}
