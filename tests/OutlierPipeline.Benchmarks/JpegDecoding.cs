using BenchmarkDotNet.Attributes;
using OutlierPipeline.Frames;
using OutlierPipeline.Simulation;
using SkiaSharp;

namespace OutlierPipeline.Benchmarks;

/// <summary>JPEG to uint8 RGB at the model's size, on one core: <c>dotnet run -c Release --project tests/OutlierPipeline.Benchmarks -- --filter '*JpegDecoding*'</c>.</summary>
[MemoryDiagnoser]
[ShortRunJob]
[System.Diagnostics.CodeAnalysis.SuppressMessage("Design", "CA1001", Justification = "The benchmark runner disposes through Cleanup.")]
public class JpegDecoding
{
    private static readonly FrameSize Size = new(96, 160);
    private byte[] _jpeg = [];
    private byte[] _rgb = [];
    private FrameDecoder _turbo = null!;
    private FrameDecoder _skia = null!;

    [Params("1280x720", "320x192")]
    public string Picture { get; set; } = "";

    [GlobalSetup]
    public void Setup()
    {
        int[] sides = [.. Picture.Split('x').Select(int.Parse)];
        using var camera = new StreetCamera(1);
        using var scaled = camera.Draw(3).Resize(new SKSizeI(sides[0], sides[1]), new SKSamplingOptions(SKFilterMode.Linear));
        // Noise at full size, as a sensor has it: a smooth picture would decode faster than a real one.
        var pixels = scaled.GetPixelSpan();
        var random = new Random(1);
        for (int i = 0; i < pixels.Length; i++) pixels[i] = (byte)Math.Clamp(pixels[i] + random.Next(-6, 7), 0, 255);
        using var encoded = scaled.Encode(SKEncodedImageFormat.Jpeg, 90);
        _jpeg = encoded.ToArray();
        _rgb = new byte[Size.Bytes];
        _turbo = new FrameDecoder(Size, new FrameLimits(), JpegLibrary.TurboJpeg);
        _skia = new FrameDecoder(Size, new FrameLimits(), JpegLibrary.Skia);
        Console.WriteLine($"// {Picture}: {_jpeg.Length / 1024} KiB");
    }

    [Benchmark(Baseline = true)]
    public FrameError LibjpegTurbo() => _turbo.Decode(_jpeg, _rgb);

    [Benchmark]
    public FrameError SkiaSharp() => _skia.Decode(_jpeg, _rgb);

    [GlobalCleanup]
    public void Cleanup()
    {
        _turbo.Dispose();
        _skia.Dispose();
    }
}
