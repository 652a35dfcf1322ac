using OutlierPipeline.Frames;
using OutlierPipeline.Simulation;

namespace OutlierPipeline.Benchmarks;

/// <summary>Frames of the simulated street, in a temporary directory.</summary>
internal sealed class RandomFrames : IDisposable
{
    private readonly string _directory;

    private RandomFrames(string directory, Footage footage)
    {
        _directory = directory;
        Footage = footage;
    }

    public Footage Footage { get; }

    public static RandomFrames Write(FrameSize size, int count)
    {
        string directory = Directory.CreateTempSubdirectory().FullName;
        using var camera = new StreetCamera(1);
        for (int i = 0; i < count; i++) File.WriteAllBytes(Path.Combine(directory, $"{i:00000}.jpg"), camera.Render(i));
        return new RandomFrames(directory, new FootageLoader().LoadAsync([directory], size, CancellationToken.None).GetAwaiter().GetResult());
    }

    public void Dispose()
    {
        Footage.Dispose();
        Directory.Delete(_directory, recursive: true);
    }
}
