using System.Runtime.InteropServices;
using OutlierPipeline.Footage.Simulation;
using OutlierPipeline.Frames;
using SkiaSharp;

namespace OutlierPipeline.Tests.Support;

/// <summary>Subsampling of chroma, by libjpeg-turbo's numbers.</summary>
public enum Subsampling
{
    Yuv444 = 0,
    Yuv422 = 1,
    Yuv420 = 2,
    Grey = 3,
}

/// <summary>Kinds of JPEG that SkiaSharp does not write.</summary>
internal static unsafe class TurboEncoder
{
    private const int PixelFormatRgba = 7;
    private const int PixelFormatCmyk = 11;
    private const int Progressive = 16384;
    private const int Quality = 92;

    /// <summary>The simulated street.</summary>
    public static byte[] Encode(int width, int height, Subsampling subsampling = Subsampling.Yuv420, bool progressive = false,
        bool cmyk = false, int seed = 1)
    {
        using var camera = new StreetCamera(seed);
        using var scaled = camera.Draw(3).Resize(new SKImageInfo(width, height, SKColorType.Rgba8888),
            new SKSamplingOptions(SKFilterMode.Linear));
        return Encode(scaled.GetPixelSpan(), width, height, scaled.RowBytes, subsampling, progressive, cmyk
            ? PixelFormatCmyk
            : PixelFormatRgba, Quality);
    }

    /// <summary>Noise at the best quality: more bytes than any camera's picture has.</summary>
    public static byte[] EncodeNoise(int width, int height, Subsampling subsampling, bool progressive)
    {
        byte[] pixels = new byte[width * height * 4];
        new Random(3).NextBytes(pixels);
        return Encode(pixels, width, height, width * 4, subsampling, progressive, PixelFormatRgba, 100);
    }

    private static byte[] Encode(ReadOnlySpan<byte> pixels, int width, int height, int stride, Subsampling subsampling, bool progressive,
        int format, int quality)
    {
        Assert.SkipUnless(TurboJpeg.IsAvailable, "libjpeg-turbo is not on this machine (Debian: libturbojpeg0)");
        nint library = NativeLibrary.Load("libturbojpeg.so.0");
        var compress = (delegate* unmanaged<nint, byte*, int, int, int, int, byte**, CULong*, int, int, int,
            int>)NativeLibrary.GetExport(library, "tjCompress2");
        nint handle = ((delegate* unmanaged<nint>)NativeLibrary.GetExport(library, "tjInitCompress"))();
        byte* jpeg = null;
        CULong size = default;
        fixed (byte* source = pixels)
        {
            Assert.Equal(0, compress(handle, source, width, stride, height, format, &jpeg, &size, (int)subsampling, quality, progressive
                ? Progressive : 0));
        }
        byte[] encoded = new Span<byte>(jpeg, (int)size.Value).ToArray();
        ((delegate* unmanaged<byte*, void>)NativeLibrary.GetExport(library, "tjFree"))(jpeg);
        _ = ((delegate* unmanaged<nint, int>)NativeLibrary.GetExport(library, "tjDestroy"))(handle);
        return encoded;
    }
}
