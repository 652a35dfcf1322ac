namespace OutlierPipeline.Training.Scores;

/// <summary>
/// One named nonconformity score. It may first describe each frame by a vector of features, to which a density is fitted on the training
/// frames; then it turns a frame into one number, higher for stranger.
/// </summary>
public abstract class Score
{
    public abstract string Name { get; }

    /// <summary>Features <c>[N, F]</c> that <see cref="Fit"/> learns from, or default where there is nothing to learn.</summary>
    public abstract T Features<T>(TensorOps<T> ops, ScoreInputs<T> inputs);

    /// <summary>Learns from the features of the training frames, n rows of F.</summary>
    public abstract void Fit(float[][] features);

    /// <summary>The score, <c>[N, 1]</c>.</summary>
    public abstract T Compute<T>(TensorOps<T> ops, ScoreInputs<T> inputs);
}
