using System.Diagnostics;
using System.Globalization;

namespace OutlierPipeline.IntegrationTests.Chaos;

/// <summary>What happened when: in the test's output, and in a file where a directory is given.</summary>
/// <param name="path">Without an ending; null where nothing is kept.</param>
internal sealed class Journal(string? path)
{
    private readonly Stopwatch _clock = Stopwatch.StartNew();
    private readonly Lock _gate = new();
    private int _dumps;

    public void Add(string line)
    {
        string text = string.Create(CultureInfo.InvariantCulture, $"{_clock.Elapsed.TotalSeconds,7:0.0} s  {line}");
        // A picture is long.
        if (text.Length > 2000) text = text[..2000];
        lock (_gate)
        {
            TestContext.Current.TestOutputHelper?.WriteLine(text);
            if (path is not null) File.AppendAllText(path + ".log", text + "\n");
        }
    }

    /// <summary>Keeps all that a process printed.</summary>
    public void Keep(string name, string output)
    {
        if (path is not null) File.WriteAllText($"{path}-{name}-{Interlocked.Increment(ref _dumps)}.txt", output);
    }
}
