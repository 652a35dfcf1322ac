namespace OutlierPipeline.Alerts;

/// <summary>What a strange picture looks like.</summary>
/// <param name="Name">A cause that the model has learned, or <see cref="Unknown"/>.</param>
/// <param name="Probability">Among the causes that it has learned; 0 for an unknown one.</param>
public readonly record struct Cause(string Name, double Probability)
{
    /// <summary>The picture is like none of the causes that were learned.</summary>
    public const string Unknown = "unknown";

    public bool IsKnown => Name != Unknown;
}
