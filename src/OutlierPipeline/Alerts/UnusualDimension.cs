using System.Globalization;

namespace OutlierPipeline.Alerts;

/// <summary>A dimension of the code along which strange frames lie outside of normal ones.</summary>
/// <param name="Name">What <c>model.json</c> calls it, else <c>dimension</c> and its number.</param>
/// <param name="Sigma">How many deviations of normal frames it lies above their mean; below it where negative.</param>
public readonly record struct UnusualDimension(string Name, double Sigma)
{
    /// <summary>In words: its name, and how far out it is.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Name}, {Math.Abs(Sigma):0} σ");
}
