using OutlierPipeline.Frames;
using OutlierPipeline.Training.Networks;

namespace OutlierPipeline.Training.Scores;

/// <summary>Measurements of each 8×8 patch of picture and residual: rows <c>[N·h·w, …]</c>, in the order of the error map.</summary>
/// <param name="Energies">Mean squared Haar coefficients of three scales and three orientations, <c>[…, 18]</c>, raised by half a grey
/// level's: nine of the grey picture (by scale, then horizontal, vertical, diagonal), then nine of the grey residual.</param>
/// <param name="LogEnergies">Their logarithms.</param>
/// <param name="Colours">Mean grey, and two opponent colours, of the picture, <c>[…, 3]</c>.</param>
/// <param name="ResidualColours">The same of the residual.</param>
/// <param name="Mask">1 for patches that count, else 0: <c>[N or 1, h·w]</c>.</param>
/// <remarks>
/// Haar 1910; energies of an orthogonal pyramid as a measure of input complexity: Serrà et al., ICLR 2020, in a local form.
/// </remarks>
public sealed record PatchFeatures<T>(T Energies, T LogEnergies, T Colours, T ResidualColours, T Mask);

/// <summary>Computes <see cref="PatchFeatures{T}"/>.</summary>
internal static class PatchFeatures
{
    public const int Bands = PatchTransform.Bands;

    /// <summary>The square of half a grey level: smaller energies are rounding, of the camera and of float32.</summary>
    public const double Floor = 0.25 / (255 * 255);

    public const double Tiny = 1e-6;

    /// <summary>Sums the squares of grey details by band, <c>[72, 9]</c>; together they are the variance within the patch.</summary>
    private static readonly float[] ByBand = [.. Enumerable.Range(0, PatchTransform.Coefficients).SelectMany(k =>
        Enumerable.Range(0, Bands).Select(band => k < PatchTransform.Details && PatchTransform.Band(k) == band
        ? 1f / PatchTransform.Values
        : 0))];

    public static int Rows(FrameSize size) => size.Height / PatchTransform.Side;

    public static int Columns(FrameSize size) => size.Width / PatchTransform.Side;

    public static int Count(FrameSize size) => Rows(size) * Columns(size);

    /// <param name="picture">Coefficients, <c>[N·h·w, 72]</c>.</param>
    /// <param name="drawing">The same of the drawing.</param>
    /// <param name="mask">Of <see cref="PatchNetwork.Counted"/>.</param>
    public static PatchFeatures<T> Of<T>(TensorOps<T> ops, T picture, T drawing, T mask)
    {
        var residual = ops.Subtract(picture, drawing);
        var byBand = ops.Constant(ByBand, PatchTransform.Coefficients, Bands);
        var floor = ops.Constant([.. Enumerable.Repeat((float)Floor, Bands)], Bands);
        var energies = ops.Concat(ops.Dense(ops.Square(picture), byBand, floor), ops.Dense(ops.Square(residual), byBand, floor));
        return new PatchFeatures<T>(energies, ops.Log(energies), Colours(picture), Colours(residual), mask);

        T Colours(T coefficients) =>
            ops.Multiply(ops.Slice(coefficients, PatchTransform.Details, 3), ops.Constant(1 / Math.Sqrt(PatchTransform.Values)));
    }

    /// <summary>The mask of each of N frames, <c>[N, h·w]</c>: one mask serves a batch, but features are one row a frame.</summary>
    public static T MaskOfEach<T>(TensorOps<T> ops, FrameSize size, PatchFeatures<T> patches) =>
        OfEach(ops, patches, patches.Mask, Count(size));

    /// <summary>Values that one frame has or N have, for each of N frames.</summary>
    /// <param name="shape">Of a frame's, or what broadcasts to it, of h·w values.</param>
    public static T OfEach<T>(TensorOps<T> ops, PatchFeatures<T> patches, T values, params long[] shape) =>
        ops.Add(ops.Multiply(ops.Reshape(ops.Slice(patches.Colours, 0, 1), shape), ops.Constant(0)), values);
}
