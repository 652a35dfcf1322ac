namespace OutlierPipeline.Training.Features;

/// <summary>What the scores of a feature VAE are computed from, for a batch of N frames of h × w cells.</summary>
/// <param name="Code">Means of the cells' codes, <c>[N, h·w, K]</c>.</param>
/// <param name="Squares">Squared errors over the values of a cell, <c>[N, h·w]</c>.</param>
/// <param name="LogLikelihood">Negative log-likelihood of a cell but for a constant, <c>[N, h·w]</c>.</param>
/// <param name="RowSums">Sums over the cells of a row that count of standardised residuals, <c>[N, h, C]</c>.</param>
/// <param name="RowSquares">The same of their squares.</param>
/// <param name="Counted">Which cells count, <c>[N or 1, h·w]</c>, 0 or 1.</param>
public sealed record CellInputs<T>(FeatureNetwork Network, T Code, T Squares, T LogLikelihood, T RowSums, T RowSquares, T Counted);
