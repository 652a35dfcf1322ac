namespace OutlierPipeline.Frames;

/// <summary>
/// What decoding a picture may cost, estimated from its headers before a pixel is decoded: the costliest content that such headers can
/// have, on one core.
/// </summary>
/// <remarks>
/// The factors are nanoseconds, measured on content made to be slow (the tests print estimate and measurement side by side), and rounded
/// up; on common pictures the estimate is two to five times too high.
/// </remarks>
internal static class DecodeCost
{
    /// <param name="file">Whose blocks are transformed once and gone over by every scan.</param>
    /// <param name="bytes">Encoded.</param>
    public static TimeSpan OfJpeg(in JpegFile file, int bytes)
    {
        // A progressive picture, or one of several scans, is kept as coefficients and written once more.
        bool isBuffered = file.IsProgressive || file.Scans > 1;
        double scans = file.ScanBlocks * (isBuffered ? 12.0 : 8.0);
        double blocks = file.Blocks * (isBuffered ? 110.0 : 90.0);
        // Where SkiaSharp decodes, the data is read for damage first; that costs as much again, and most where it comes in scans.
        double data = bytes * (isBuffered ? 36.0 : 9.0);
        return Nanoseconds(scans + blocks + data + file.Segments * 60.0 + file.Scans * 4_000.0);
    }

    /// <param name="pixels">Width × height.</param>
    /// <param name="bytesPerPixel">As stored, uncompressed.</param>
    /// <param name="chunks">Of any kind.</param>
    /// <param name="compressedText">Bytes of text that is inflated when the picture is opened.</param>
    public static TimeSpan OfPng(long pixels, double bytesPerPixel, bool isInterlaced, int chunks, long compressedText, int bytes) =>
        Nanoseconds(pixels * ((isInterlaced ? 15.0 : 9.0) + bytesPerPixel * 3.5) + bytes * 4.0 + compressedText * 450.0 + chunks * 150.0);

    public static TimeSpan OfWebP(long pixels, bool isLossless, int chunks, int bytes) =>
        Nanoseconds(pixels * (isLossless ? 20.0 : 12.0) + bytes * (isLossless ? 12.0 : 50.0) + chunks * 150.0);

    private static TimeSpan Nanoseconds(double nanoseconds) => UnixNanoseconds.ToDuration((long)nanoseconds);
}
