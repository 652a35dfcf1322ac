using OutlierPipeline.Footage.Simulation;
using SkiaSharp;

namespace OutlierPipeline.Tests.Support;

/// <summary>Encoded pictures of the simulated street.</summary>
internal static class Pictures
{
    public static byte[] Encode(SKEncodedImageFormat format, int width = 320, int height = 192, int seed = 1)
    {
        using var camera = new StreetCamera(seed);
        using var scaled = camera.Draw(3).Resize(new SKSizeI(width, height), new SKSamplingOptions(SKFilterMode.Linear));
        using var encoded = scaled.Encode(format, 90);
        return encoded.ToArray();
    }
}
