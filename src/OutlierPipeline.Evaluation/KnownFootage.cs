using System.Text.Json;
using System.Text.Json.Serialization;
using OutlierPipeline.Footage;
using OutlierPipeline.Models;

namespace OutlierPipeline.Evaluation;

/// <summary>What a package has to do with a drive that judges it.</summary>
public enum Acquaintance
{
    /// <summary>The drive trained and calibrated nothing.</summary>
    Unseen,

    /// <summary>The drive chose designs or settings, whoever evaluates says; it trained and calibrated nothing.</summary>
    Chose,

    /// <summary>Frames of the same drive calibrated, these did not.</summary>
    DriveCalibrated,

    /// <summary>Frames of the same drive trained, these did not.</summary>
    DriveTrained,

    /// <summary>Some of these very frames calibrated.</summary>
    Calibrated,

    /// <summary>Some of these very frames trained.</summary>
    Trained,

    /// <summary>The package does not say what it was made from: it was made before packages did.</summary>
    NotKnown,
}

/// <summary>
/// <c>footage.json</c> of a model package: which frames trained and which calibrated, so that a figure can say what the drive that it was
/// measured on had to do with the model.
/// </summary>
public sealed record KnownFootage
{
    /// <summary>The file within a package.</summary>
    public const string FileName = "footage.json";

    private const int HashBytes = 4;

    /// <summary>Frames that are remembered at most, evenly spread.</summary>
    private const int MaxFrames = 20_000;

    public required FrameSet Training { get; init; }

    public required FrameSet Calibration { get; init; }

    /// <summary>Footage that chose designs or settings: no package knows of it. Null for none.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public FrameSet? Choice { get; init; }

    /// <summary>Reads it from a package; null where there is none.</summary>
    /// <exception cref="ModelPackageException">The file is damaged.</exception>
    public static KnownFootage? Of(ModelPackage package)
    {
        if (!package.Card.Files.ContainsKey(FileName)) return null;
        try
        {
            return Parse(package.ReadFile(FileName));
        }
        catch (JsonException e)
        {
            throw new ModelPackageException(Path.Combine(package.Path, FileName), $"cannot be read: {e.Message}", e);
        }
    }

    /// <summary>Reads and checks <c>footage.json</c>.</summary>
    /// <exception cref="JsonException">The text is no such file; the message says what is wrong.</exception>
    public static KnownFootage Parse(ReadOnlySpan<byte> json) =>
        JsonSerializer.Deserialize<KnownFootage>(json, ModelCard.Compact) ?? throw new JsonException("the file holds null");

    /// <summary>The set of some footage's frames.</summary>
    public static FrameSet SetOf(DecodedFootage footage)
    {
        int count = Math.Min(MaxFrames, footage.Count);
        byte[] hashes = new byte[count * HashBytes];
        for (int i = 0; i < count; i++)
            footage.HashOf((int)((long)i * footage.Count / count))[..HashBytes].CopyTo(hashes.AsSpan(i * HashBytes));
        return new FrameSet([.. footage.Drives.Select(drive => NameOf(footage, drive)).Distinct()], hashes);
    }

    public byte[] ToJson() => JsonSerializer.SerializeToUtf8Bytes(this, ModelCard.Compact);

    /// <summary>What this package has to do with a drive.</summary>
    public Acquaintance With(DecodedFootage footage, DriveSpan drive)
    {
        string name = NameOf(footage, drive);
        return Has(Training) ? Acquaintance.Trained
            : Has(Calibration) ? Acquaintance.Calibrated
            : Training.Drives.Contains(name) ? Acquaintance.DriveTrained
            : Calibration.Drives.Contains(name) ? Acquaintance.DriveCalibrated
            : Choice is { } choice && (Has(choice) || choice.Drives.Contains(name)) ? Acquaintance.Chose
            : Acquaintance.Unseen;

        // Four bytes of a hash agree by chance once in a thousand drives: two frames have to.
        bool Has(FrameSet set)
        {
            var known = Enumerable.Range(0, set.Hashes.Length / HashBytes).Select(i => BitConverter.ToInt32(set.Hashes, i * HashBytes))
                .ToHashSet();
            return Enumerable.Range(drive.First, drive.Count).Count(i =>
                known.Contains(BitConverter.ToInt32(footage.HashOf(i)))) >= Math.Min(2, drive.Count);
        }
    }

    /// <summary>The last two directories of a drive's frames: where it lies on this machine is nobody's business.</summary>
    public static string NameOf(DecodedFootage footage, DriveSpan drive)
    {
        string[] parts = footage.NameOf(drive.First).Split('/', '\\');
        return string.Join('/', parts[..^1].TakeLast(2));
    }

    /// <summary>Some frames.</summary>
    /// <param name="Drives">The names of their drives.</param>
    /// <param name="Hashes">The first bytes of each frame's SHA-256.</param>
    public sealed record FrameSet(IReadOnlyList<string> Drives, byte[] Hashes)
    {
        /// <summary>These and others.</summary>
        public FrameSet And(FrameSet others) => new([.. Drives.Union(others.Drives)], [.. Hashes, .. others.Hashes]);
    }
}
