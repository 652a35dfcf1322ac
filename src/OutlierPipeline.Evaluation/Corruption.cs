using OutlierPipeline.Frames;

namespace OutlierPipeline.Evaluation;

/// <summary>One kind of corruption, at severities 1 to 5.</summary>
/// <param name="Name">Kebab case, as in reports.</param>
/// <param name="Group">Noise, blur, weather, digital, camera or obstacle.</param>
/// <param name="Strengths">What the five severities mean to <paramref name="Draw"/>.</param>
public sealed record Corruption(string Name, string Group, double[] Strengths, Corruption.Painter Draw)
{
    public const int Severities = 5;

    /// <summary>Changes a picture in place.</summary>
    public delegate void Painter(CorruptedPicture picture, double strength);

    /// <summary>Whether the picture stands still from the first corrupted frame on, instead of being drawn over.</summary>
    public bool IsFrozen { get; init; }

    /// <summary>Whether <see cref="CorruptedPicture.Mask"/> says which pixels were changed.</summary>
    public bool HasMask { get; init; }

    /// <summary>What the picture then looks like, in the words of an alert; null for what the trainer is not shown.</summary>
    public string? Cause { get; init; }

    /// <summary>Corrupts one frame; the same for the same seed, index and severity.</summary>
    /// <param name="rgb"><c>[H, W, 3]</c> uint8, RGB; changed in place.</param>
    /// <param name="index">The frame's number: noise differs from frame to frame, dirt does not.</param>
    /// <returns>The mask of changed pixels, <c>[H, W]</c>, for corruptions that have one; else empty.</returns>
    public byte[] Apply(Span<byte> rgb, FrameSize size, int severity, int seed, int index)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(severity is >= 1 and <= Severities, true);
        if (IsFrozen) return [];
        var picture = new CorruptedPicture(size, rgb.ToArray(), unchecked(seed * 7919 + Name.Sum(character => character)), index);
        Draw(picture, Strengths[severity - 1]);
        picture.Rgb.CopyTo(rgb);
        return HasMask ? picture.Mask : [];
    }
}

/// <summary>A picture on its way through a corruption.</summary>
/// <param name="Rgb"><c>[H, W, 3]</c> uint8.</param>
/// <param name="DriveSeed">The same for all frames of a drive.</param>
public sealed record CorruptedPicture(FrameSize Size, byte[] Rgb, int DriveSeed, int Index)
{
    /// <summary>Differs from frame to frame.</summary>
    public Random Random { get; } = new(unchecked(DriveSeed * 31 + Index));

    /// <summary><c>[H, W]</c>, 1 where the picture was changed.</summary>
    public byte[] Mask { get; } = new byte[Size.Height * Size.Width];

    /// <summary>A standard normal number (Box and Muller 1958).</summary>
    public double Normal() => Normal(Random);

    /// <inheritdoc cref="Normal()"/>
    public static double Normal(Random random) =>
        Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());

    /// <summary>Replaces every value, given and returned from 0 to 1.</summary>
    public void Map(Func<double, double> change)
    {
        for (int i = 0; i < Rgb.Length; i++) Rgb[i] = ToByte(change(Rgb[i] / 255.0));
    }

    public static byte ToByte(double value) => (byte)Math.Clamp(Math.Round(255 * value), 0, 255);
}
