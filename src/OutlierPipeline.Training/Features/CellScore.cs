using static TorchSharp.torch;

namespace OutlierPipeline.Training.Features;

/// <summary>
/// One named nonconformity score of a feature VAE. It first describes each frame by a vector of features, to which something is fitted on
/// the training frames; then it turns the
/// features into one number, higher for stranger.
/// </summary>
public abstract class CellScore
{
    public abstract string Name { get; }

    /// <summary>Whether the score has a part in the combined one.</summary>
    public virtual bool IsCombined => false;

    /// <summary>Whether the onset test watches it.</summary>
    public virtual bool IsWatched => IsCombined;

    /// <summary>Whether the score says something of one place of the picture.</summary>
    public virtual bool IsLocal => false;

    /// <summary>Features <c>[N, F]</c>.</summary>
    public abstract T Features<T>(TensorOps<T> ops, CellInputs<T> inputs);

    /// <summary>Learns from the features of normal frames, <c>[n, F]</c>.</summary>
    public abstract void Fit(Tensor features);

    /// <summary>The scores of features, <c>[N, 1]</c>.</summary>
    public abstract T Compute<T>(TensorOps<T> ops, T features);

    /// <summary>How many of some cells count, at least one, in a shape that divides sums over them.</summary>
    protected static T Count<T>(TensorOps<T> ops, T counted) => ops.Clip(ops.SumLast(counted), 1, float.MaxValue);

    /// <summary>
    /// Means and log mean squares of standardised residuals, side by side: what is drawn too high or low, and what is drawn worse, or
    /// better, than it should be.
    /// </summary>
    protected static T Moments<T>(TensorOps<T> ops, T mean, T square, double floor) =>
        ops.Concat(ops.Asinh(ops.Multiply(mean, ops.Constant(3))), ops.Log(ops.Add(square, ops.Constant(floor))));
}
