namespace OutlierPipeline.Frames;

/// <summary>Which scale a JPEG is decoded at: the same for every decoder, so that they draw the same picture.</summary>
internal static class DecodeScale
{
    /// <summary>1, 2, 4 or 8 eighths: the smallest at which the cropped picture still covers the target.</summary>
    public static int Eighths(int width, int height, FrameSize target)
    {
        foreach (int scale in (ReadOnlySpan<int>)[1, 2, 4])
        {
            var crop = AreaScaler.Crop((width * scale + 7) / 8, (height * scale + 7) / 8, target);
            if (crop.Width >= target.Width && crop.Height >= target.Height) return scale;
        }
        return 8;
    }
}
