using TorchSharp;
using static TorchSharp.torch;

namespace OutlierPipeline.Training.Features;

/// <summary>
/// A Gaussian of standardised features, its covariance shrunk towards a multiple of the identity by as much as the number of rows asks for:
/// more features than frames are no obstacle.
/// </summary>
/// <remarks>
/// Ledoit and Wolf, A well-conditioned estimator for large-dimensional covariance matrices, Journal of Multivariate Analysis 2004, theorem
/// 3.2 and lemmas 3.2 to 3.4.
/// </remarks>
public sealed class ShrunkDensity
{
    private readonly float[] _whitening;
    private readonly float[] _offset;

    private ShrunkDensity(float[] whitening, float[] offset)
    {
        _whitening = whitening;
        _offset = offset;
    }

    /// <summary>Features, F.</summary>
    public int Dimensions => _offset.Length;

    /// <param name="rows">Features of normal frames, <c>[n, F]</c>.</param>
    /// <param name="isPrincipal">Whether what is whitened is in the order of the principal axes, the widest first: worth its time only
    /// where somebody looks at it.</param>
    public static ShrunkDensity Fit(Tensor rows, bool isPrincipal = false)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var x = rows.to(float64);
        long n = x.shape[0];
        long f = x.shape[1];
        var mean = x.mean([0L]);
        var deviation = (x - mean).pow(2).mean([0L]).sqrt() + 1e-3;
        var z = (x - mean) / deviation;
        var sample = z.t().matmul(z) / n;
        double level = sample.trace().ToDouble() / f;
        double norm = sample.pow(2).sum().ToDouble();
        // Both over F, as in the paper; what is estimated from n rows is off by b² where the truth is d² away from the identity.
        double d2 = norm / f - level * level;
        double b2 = Math.Min(d2, (z.pow(2).sum(1).pow(2).sum().ToDouble() - n * norm) / ((double)n * n) / f);
        double share = d2 > 0 ? Math.Clamp(b2 / d2, 0, 1) : 1;
        var shrunk = sample * (1 - share) + eye(f, dtype: float64) * (share * level + 1e-6);
        var whitening = (isPrincipal ? Principal(shrunk) : linalg.inv(linalg.cholesky(shrunk)).t()) / deviation.unsqueeze(1);
        var offset = -mean.matmul(whitening);
        return new ShrunkDensity(whitening.to(float32).contiguous().data<float>().ToArray(), offset.to(float32).contiguous().data<float>()
            .ToArray());
    }

    /// <summary>Features, uncorrelated and of variance 1, <c>[N, F]</c>.</summary>
    public T Whitened<T>(TensorOps<T> ops, T features) =>
        ops.Dense(features, ops.Constant(_whitening, Dimensions, Dimensions), ops.Constant(_offset, Dimensions));

    /// <summary>The logarithm of the mean square of whitened features, <c>[N, 1]</c>.</summary>
    public static T LogMeanSquare<T>(TensorOps<T> ops, T whitened, int dimensions)
    {
        var sum = ops.MatMul(ops.Square(whitened), ops.Constant([.. Enumerable.Repeat(1f / dimensions, dimensions)], dimensions, 1));
        return ops.Log(ops.Add(sum, ops.Constant(1e-6)));
    }

    /// <inheritdoc cref="LogMeanSquare{T}"/>
    public T Distance<T>(TensorOps<T> ops, T features) => LogMeanSquare(ops, Whitened(ops, features), Dimensions);

    private static Tensor Principal(Tensor covariance)
    {
        var (values, vectors) = linalg.eigh(covariance);
        return (vectors / values.sqrt()).flip(1);
    }
}
