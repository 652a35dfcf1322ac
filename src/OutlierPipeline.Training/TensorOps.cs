namespace OutlierPipeline.Training;

/// <summary>
/// The operations that networks and scores are written in, once: <see cref="TorchOps"/> computes them (with gradients, for training), and
/// <see cref="Onnx.OnnxOps"/> writes them into a graph. Pictures are <c>[N, C, H, W]</c> float32.
/// </summary>
/// <typeparam name="T">A tensor, or the name of one.</typeparam>
public abstract class TensorOps<T>
{
    /// <summary>A trained weight by its name.</summary>
    public abstract T Weight(string name);

    public abstract T Constant(float[] values, params long[] shape);

    public T Constant(double value) => Constant([(float)value]);

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

    /// <summary><c>[N, …, I]</c> times <c>[I, O]</c>.</summary>
    public abstract T MatMul(T x, T weight);

    /// <summary><c>[N, C·f², H, W]</c> to <c>[N, C, H·f, W·f]</c>.</summary>
    public abstract T PixelShuffle(T x, int factor);

    /// <summary>Mean of each square of <paramref name="size"/>, not overlapping.</summary>
    public abstract T AveragePool(T x, int size);

    /// <summary>A shape of one frame; the batch stays the first dimension.</summary>
    public abstract T Reshape(T x, params long[] frameShape);

    /// <summary>Means over the dimensions named, which vanish.</summary>
    public abstract T Mean(T x, params int[] dimensions);

    /// <summary>Sum over the last dimension, which stays as one.</summary>
    public abstract T SumLast(T x);

    /// <summary>Maximum over the last dimension, which stays as one.</summary>
    public abstract T MaxLast(T x);

    /// <summary><paramref name="count"/> elements of one dimension, from <paramref name="first"/> on.</summary>
    public abstract T Slice(T x, int dimension, long first, long count);

    /// <summary><c>[N, A, B]</c> to <c>[N, B, A]</c>.</summary>
    public abstract T SwapLast(T x);

    /// <summary>Side by side along dimension 1.</summary>
    public abstract T Concat(params T[] parts);

    public T Square(T x) => Multiply(x, x);
}
