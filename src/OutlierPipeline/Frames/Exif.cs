using System.Buffers.Binary;

namespace OutlierPipeline.Frames;

/// <summary>How a stored picture has to be turned to be upright, by EXIF's numbers.</summary>
public enum PictureOrientation
{
    Upright = 1,
    MirroredHorizontally = 2,
    UpsideDown = 3,
    MirroredVertically = 4,

    /// <summary>Mirrored along the diagonal from top left to bottom right.</summary>
    Transposed = 5,

    /// <summary>To be turned by 90° clockwise.</summary>
    TurnedLeft = 6,

    /// <summary>Mirrored along the diagonal from top right to bottom left.</summary>
    Transversed = 7,

    /// <summary>To be turned by 90° counter-clockwise.</summary>
    TurnedRight = 8,
}

/// <summary>Reads the one field of EXIF that changes the picture.</summary>
/// <remarks>CIPA DC-008, 4.6: a TIFF header, and a directory of entries of 12 bytes.</remarks>
internal static class Exif
{
    private const ushort OrientationTag = 0x112;
    private const ushort Short = 3;

    /// <param name="tiff">The block, from its byte order on.</param>
    /// <returns>The orientation; upright where the block does not say, or is damaged.</returns>
    public static PictureOrientation Orientation(ReadOnlySpan<byte> tiff)
    {
        if (tiff.Length < 8) return PictureOrientation.Upright;
        bool isLittle = tiff.StartsWith("II*\0"u8);
        if (!isLittle && !tiff.StartsWith("MM\0*"u8)) return PictureOrientation.Upright;
        uint directory = isLittle ? BinaryPrimitives.ReadUInt32LittleEndian(tiff[4..]) : BinaryPrimitives.ReadUInt32BigEndian(tiff[4..]);
        if (directory > tiff.Length - 2) return PictureOrientation.Upright;
        var entries = tiff[(int)directory..];
        int count = Number(entries, isLittle);
        entries = entries[2..];
        for (int i = 0; i < count && entries.Length >= 12; i++, entries = entries[12..])
        {
            if (Number(entries, isLittle) != OrientationTag) continue;
            int value = Number(entries[8..], isLittle);
            return Number(entries[2..], isLittle) == Short && value is >= 1 and <= 8
                ? (PictureOrientation)value
                : PictureOrientation.Upright;
        }
        return PictureOrientation.Upright;
    }

    /// <summary>Whether width and height change places.</summary>
    public static bool SwapsSides(this PictureOrientation orientation) => orientation >= PictureOrientation.Transposed;

    private static int Number(ReadOnlySpan<byte> bytes, bool isLittle) => isLittle
        ? BinaryPrimitives.ReadUInt16LittleEndian(bytes)
        : BinaryPrimitives.ReadUInt16BigEndian(bytes);
}
