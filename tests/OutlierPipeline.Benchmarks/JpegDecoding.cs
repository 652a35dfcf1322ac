using BenchmarkDotNet.Attributes;
using OutlierPipeline.Footage.Simulation;
using OutlierPipeline.Frames;
using SkiaSharp;

namespace OutlierPipeline.Benchmarks;

/// <summary>
/// JPEG to uint8 RGB at the model's size, on one core: <c>dotnet run -c Release --project tests/OutlierPipeline.Benchmarks -- --filter
/// '*JpegDecoding*'</c>.
/// </summary>
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
        _jpeg = camera.RenderAt(new SKSizeI(sides[0], sides[1]), 3);
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
