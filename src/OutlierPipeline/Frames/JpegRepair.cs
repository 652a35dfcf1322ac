namespace OutlierPipeline.Frames;

/// <summary>Writes a JPEG again without its <see cref="JpegOddities"/>; no value of a pixel is touched.</summary>
internal static class JpegRepair
{
    /// <summary>Bytes that a copy may need beyond the original: the end marker.</summary>
    public const int Extra = 2;

    /// <param name="jpeg">One that <see cref="JpegFile.Read"/> has accepted as <paramref name="file"/>.</param>
    /// <param name="copy">At least as long as <paramref name="jpeg"/> and <see cref="Extra"/>.</param>
    /// <returns>Bytes written.</returns>
    public static int Copy(ReadOnlySpan<byte> jpeg, in JpegFile file, Span<byte> copy)
    {
        jpeg[..2].CopyTo(copy);
        int length = 2;
        var segments = new JpegSegments(jpeg);
        while (segments.MoveNext() && segments.Marker != JpegSegments.EndOfImage)
        {
            copy[length++] = 0xff;
            copy[length++] = segments.Marker;
            // TEM and restart markers stand alone.
            if (segments.Marker is 0x01 or (>= 0xd0 and <= 0xd7)) continue;
            var content = segments.Content;
            copy[length++] = (byte)((content.Length + 2) >> 8);
            copy[length++] = (byte)(content.Length + 2);
            content.CopyTo(copy[length..]);
            Mend(segments.Marker, copy.Slice(length, content.Length), file);
            length += content.Length;
            segments.ScanData.CopyTo(copy[length..]);
            length += segments.ScanData.Length;
        }
        copy[length++] = 0xff;
        copy[length++] = JpegSegments.EndOfImage;
        return length;
    }

    private static void Mend(byte marker, Span<byte> content, in JpegFile file)
    {
        switch (marker)
        {
            case JpegSegments.StartOfScan when !file.IsProgressive:
                content[^3] = 0;
                content[^2] = 63;
                content[^1] = 0;
                break;
            case 0xe0 when content.Length >= 7 && content.StartsWith("JFIF\0"u8):
                content[5] = 1;
                break;
            case 0xee when file.Oddities.HasFlag(JpegOddities.AdobeTransform) && content.Length >= 12 && content.StartsWith("Adobe"u8):
                content[11] = JpegFile.AdobeTransformFor(file.Components);
                break;
        }
    }
}
