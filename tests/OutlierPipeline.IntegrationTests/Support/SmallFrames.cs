using OutlierPipeline.Footage.Simulation;
using SkiaSharp;

namespace OutlierPipeline.IntegrationTests.Support;

/// <summary>Small encoded frames, since the broker in the process keeps 5 MB a partition.</summary>
internal static class SmallFrames
{
    private static readonly Lazy<byte[][]> Fogged = new(() => [.. FullDrive(1, 40), .. FullDrive(1, 40, Trouble.Fog)]);

    /// <summary>A normal drive that ends in fog, long enough for an alert.</summary>
    public static byte[][] IntoFog => Fogged.Value;

    /// <summary>Frames of one drive as the cameras send them, 320×192 pixels, about 8 KiB each: what the model takes for normal.</summary>
    public static byte[][] FullDrive(int seed, int count, Trouble trouble = Trouble.None)
    {
        using var camera = new StreetCamera(seed);
        return [.. Enumerable.Range(0, count).Select(i => camera.Render(i * 0.1, trouble))];
    }

    /// <summary>Frames of one drive, 80×48 pixels, about 1.5 KiB each.</summary>
    public static byte[][] Drive(int seed, int count, Trouble trouble = Trouble.None,
        SKEncodedImageFormat format = SKEncodedImageFormat.Jpeg)
    {
        using var camera = new StreetCamera(seed);
        return [.. Enumerable.Range(0, count).Select(i =>
        {
            using var small = camera.Draw(i * 0.1, trouble).Resize(new SKSizeI(80, 48), new SKSamplingOptions(SKFilterMode.Linear));
            using var encoded = small.Encode(format, 80);
            return encoded.ToArray();
        })];
    }
}
