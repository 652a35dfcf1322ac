using OutlierPipeline.Frames;

namespace OutlierPipeline.Training;

/// <summary>
/// The operations that networks and scores are written in, once: <see cref="TorchOps"/> computes them (with gradients, for training), and
/// <see cref="Onnx.OnnxOps"/> writes them into a graph. What is convolved are planes, <c>[N, C, h, w]</c>; everything else is rows, <c>[R,
/// C]</c>.
/// </summary>
/// <typeparam name="T">A tensor, or the name of one.</typeparam>
public abstract class TensorOps<T>
{
    /// <summary>A trained weight by its name.</summary>
    public abstract T Weight(string name);

    public abstract T Constant(float[] values, params long[] shape);

    public T Constant(double value) => Constant([(float)value]);

    /// <summary>Grey levels as they come, which may be bytes, as float32.</summary>
    public abstract T ToFloat(T x);

    public abstract T Add(T a, T b);

    public abstract T Subtract(T a, T b);

    public abstract T Multiply(T a, T b);

    public abstract T Divide(T a, T b);

    /// <summary>x where it is positive, else a tenth of it: a unit whose gradient vanished would stay dead.</summary>
    public abstract T LeakyRelu(T x);

    public abstract T Log(T x);

    public abstract T Exp(T x);

    public abstract T Sqrt(T x);

    /// <summary>Not less than <paramref name="low"/> and not more than <paramref name="high"/>.</summary>
    public abstract T Clip(T x, float low, float high);

    /// <summary><c>[N, I, H, W]</c> to <c>[N, O, (H + 2p − k)/s + 1, …]</c>; weight <c>[O, I, k, k]</c>, bias <c>[O]</c>.</summary>
    public abstract T Conv(T x, T weight, T bias, int stride, int padding);

    /// <summary>Matrix products of the last two dimensions; those before are broadcast.</summary>
    public abstract T MatMul(T a, T b);

    /// <summary>Rows <c>[R, I]</c> times weight <c>[I, O]</c>, plus bias <c>[O]</c>.</summary>
    public abstract T Dense(T rows, T weight, T bias);

    /// <summary><c>[N, C·f², H, W]</c> to <c>[N, C, H·f, W·f]</c>.</summary>
    public abstract T PixelShuffle(T x, int factor);

    /// <summary>Every place of planes so many times in both directions, of which the first rows and columns are kept.</summary>
    public abstract T Enlarge(T planes, int factor, long rows, long columns);

    /// <summary>Planes so many times larger in both directions, bilinear between the centres of places.</summary>
    public abstract T Smooth(T planes, int factor);

    /// <summary>
    /// <c>[N, H, W, C]</c> to a row a square of <paramref name="side"/> pixels, row by row through the picture: <c>[N·H/s·W/s, s·s·C]</c>.
    /// </summary>
    public abstract T ToPatches(T x, FrameSize size, int channels, int side);

    /// <summary>The way back from <see cref="ToPatches"/>.</summary>
    public abstract T FromPatches(T rows, FrameSize size, int channels, int side);

    /// <summary>Rows <c>[N·h·w, C]</c> as planes <c>[N, C, h, w]</c>.</summary>
    public abstract T ToPlanes(T rows, long channels, long height, long width);

    /// <summary>Planes <c>[N, C, h, w]</c> as rows <c>[N·h·w, C]</c>.</summary>
    public abstract T ToRows(T planes, long channels);

    /// <summary>The same values in rows of another shape; as many of them as it takes.</summary>
    public abstract T Reshape(T x, params long[] rowShape);

    /// <summary>Sum over the last dimension, which stays as one.</summary>
    public abstract T SumLast(T x);

    /// <summary>Maximum over the last dimension, which stays as one.</summary>
    public abstract T MaxLast(T x);

    /// <summary>Mean of the <paramref name="count"/> largest of the last dimension, which stays as one.</summary>
    public abstract T TopMean(T x, int count);

    /// <summary><paramref name="count"/> elements of the last dimension, from <paramref name="first"/> on.</summary>
    public abstract T Slice(T x, long first, long count);

    /// <summary>Side by side along the last dimension.</summary>
    public abstract T Concat(params T[] parts);

    public T Square(T x) => Multiply(x, x);

    /// <summary>The inverse hyperbolic sine: x where it is small, the signed logarithm of 2|x| where it is large.</summary>
    public T Asinh(T x)
    {
        var square = Square(x);
        var size = Sqrt(square);
        var log = Log(Add(size, Sqrt(Add(square, Constant(1)))));
        return Divide(Multiply(x, log), Add(size, Constant(1e-12)));
    }
}
