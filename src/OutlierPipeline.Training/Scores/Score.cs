namespace OutlierPipeline.Training.Scores;

/// <summary>
/// One named nonconformity score. It first describes each frame by a vector of features, to which something is fitted on the training
/// frames;
/// then it turns the features into one number, higher for stranger.
/// </summary>
public abstract class Score
{
    public abstract string Name { get; }

    /// <summary>
    /// Whether the score has a part in the combined one. Those that have none are there to be looked at: one-sided, or seen better by
    /// another.
    /// </summary>
    public virtual bool IsCombined => false;

    /// <summary>Whether the score says something of one place of the picture: what stays there is an obstruction.</summary>
    public virtual bool IsLocal => false;

    /// <summary>Features <c>[N, F]</c>.</summary>
    public abstract T Features<T>(TensorOps<T> ops, ScoreInputs<T> inputs);

    /// <summary>Learns from the features of normal frames in time order, n rows of F.</summary>
    public abstract void Fit(float[][] features);

    /// <summary>The score of a batch, <c>[N, 1]</c>: what is exported.</summary>
    public abstract T Compute<T>(TensorOps<T> ops, ScoreInputs<T> inputs);

    /// <summary>
    /// The score of one frame's features, F values, in plain C#: for cross-fitting, and the reference that the graph is held to.
    /// </summary>
    public abstract double Evaluate(float[] features);
}
