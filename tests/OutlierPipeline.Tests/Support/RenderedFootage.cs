using OutlierPipeline.Footage;
using OutlierPipeline.Footage.Simulation;
using OutlierPipeline.Frames;

namespace OutlierPipeline.Tests.Support;

/// <summary>Drives of the simulated street in a temporary directory.</summary>
internal sealed class RenderedFootage : IDisposable
{
    private readonly List<DecodedFootage> _loaded = [];

    public string Directory { get; } = System.IO.Directory.CreateTempSubdirectory("outlier-test-").FullName;

    public string Drive(string name, int frames, int seed, Trouble trouble = Trouble.None, double framesPerSecond = 2)
    {
        string directory = System.IO.Directory.CreateDirectory(Path.Combine(Directory, name)).FullName;
        using var camera = new StreetCamera(seed);
        for (int i = 0; i < frames; i++)
            File.WriteAllBytes(Path.Combine(directory, FormattableString.Invariant($"{i:00000}.jpg")),
                camera.Render(i / framesPerSecond, trouble));
        return directory;
    }

    public DecodedFootage Load(string input, FrameSize size)
    {
        var footage = new FootageLoader { Unreadable = _ => { } }.LoadAsync([input], size, CancellationToken.None).GetAwaiter().GetResult();
        _loaded.Add(footage);
        return footage;
    }

    public void Dispose()
    {
        foreach (var footage in _loaded) footage.Dispose();
        System.IO.Directory.Delete(Directory, recursive: true);
    }
}
