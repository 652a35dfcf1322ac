namespace OutlierPipeline.Frames;

/// <summary>
/// A decoded picture in a worker's memory. A decoder that has not written every row gives none, and without one no slot is filled.
/// </summary>
/// <param name="pixels">Rows of <paramref name="channels"/> bytes a pixel without gaps, of which the first three are R, G, B.</param>
internal readonly ref struct DecodedPicture(ReadOnlySpan<byte> pixels, int width, int height, int channels)
{
    public ReadOnlySpan<byte> Pixels { get; } = pixels;

    public int Width { get; } = width;

    public int Height { get; } = height;

    public int Channels { get; } = channels;

    public bool IsEmpty => Pixels.IsEmpty;

    /// <summary>Writes the picture turned upright.</summary>
    /// <param name="turned">As many bytes as the picture has.</param>
    public void Turn(PictureOrientation orientation, Span<byte> turned)
    {
        int width = orientation.SwapsSides() ? Height : Width;
        int height = orientation.SwapsSides() ? Width : Height;
        for (int y = 0, target = 0; y < height; y++)
        {
            for (int x = 0; x < width; x++, target += Channels)
            {
                var (column, row) = orientation switch
                {
                    PictureOrientation.MirroredHorizontally => (Width - 1 - x, y),
                    PictureOrientation.UpsideDown => (Width - 1 - x, Height - 1 - y),
                    PictureOrientation.MirroredVertically => (x, Height - 1 - y),
                    PictureOrientation.Transposed => (y, x),
                    PictureOrientation.TurnedLeft => (y, Height - 1 - x),
                    PictureOrientation.Transversed => (Width - 1 - y, Height - 1 - x),
                    PictureOrientation.TurnedRight => (Width - 1 - y, x),
                    _ => (x, y),
                };
                Pixels.Slice((row * Width + column) * Channels, Channels).CopyTo(turned[target..]);
            }
        }
    }
}
