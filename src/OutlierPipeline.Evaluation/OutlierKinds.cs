using OutlierPipeline.Footage;

namespace OutlierPipeline.Evaluation;

/// <summary>One kind of outlier that designs are chosen on or judged by.</summary>
/// <param name="Group">A: chooses designs. B: judges them (docs/quality.md).</param>
/// <param name="Corruptions">Names in <see cref="CorruptionSuite"/>, or <see cref="OutlierKinds.FrozenStrips"/>.</param>
public sealed record OutlierKind(string Group, string Name, IReadOnlyList<string> Corruptions);

/// <summary>The kinds A and B, as docs/quality.md lays them down, drawn over normal frames.</summary>
public static class OutlierKinds
{
    /// <summary>Needs the frames before, so it is no corruption of one picture.</summary>
    public const string FrozenStrips = "frozen-strips";

    public const int Severity = 3;

    /// <summary>Frames that a frozen strip is behind the rest.</summary>
    private const int Stale = 5;

    public static IReadOnlyList<OutlierKind> All { get; } =
    [
        new("A", "blur", ["defocus-blur", "motion-blur"]), new("A", "fog", ["fog"]), new("A", "snow", ["snow"]),
        new("A", "noise", ["gaussian-noise", "shot-noise", "impulse-noise"]), new("A", "dirt", ["lens-dirt"]),
        new("A", "obstacle", ["obstacle"]),
        new("B", "rain", ["rain"]), new("B", "dead rows", ["dead-rows"]), new("B", "colour cast", ["colour-cast"]),
        new("B", "dusk", ["underexposure"]), new("B", "glare", ["overexposure"]), new("B", "frozen strips", [FrozenStrips]),
    ];

    /// <summary>Draws a corruption over a frame of some footage.</summary>
    /// <param name="rgb">Receives <c>[H, W, 3]</c> uint8, RGB.</param>
    public static void Draw(string corruption, DecodedFootage footage, int index, Span<byte> rgb, int severity, int seed)
    {
        if (corruption != FrozenStrips)
        {
            footage.Read(index, rgb);
            CorruptionSuite.All.Single(candidate => candidate.Name == corruption).Apply(rgb, footage.Size, severity, seed, index);
            return;
        }
        DrawFrozenStrips(footage, index, Math.Max(0, index - Stale), rgb);
    }

    /// <summary>Draws a frame of which two strips of a twelfth of the height show another one.</summary>
    /// <param name="from">The frame that the strips show.</param>
    /// <inheritdoc cref="Draw"/>
    public static void DrawFrozenStrips(DecodedFootage footage, int index, int from, Span<byte> rgb)
    {
        footage.Read(index, rgb);
        byte[] old = footage[from];
        int row = footage.Size.Width * 3;
        foreach (int top in new[] { footage.Size.Height / 3, footage.Size.Height * 3 / 4 })
            old.AsSpan(top * row, footage.Size.Height / 12 * row).CopyTo(rgb[(top * row)..]);
    }
}
