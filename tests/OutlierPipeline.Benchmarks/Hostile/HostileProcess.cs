using System.Diagnostics;
using System.Globalization;

namespace OutlierPipeline.Benchmarks.Hostile;

/// <summary>
/// Gives inputs to a target that runs in a process of its own, so that a crash of native code, a hang, or memory without end is a finding
/// and no more: the next input gets a new process.
/// </summary>
/// <param name="program">The assembly of the benchmarks.</param>
internal sealed class HostileProcess(string program, HostileTarget target) : IDisposable
{
    /// <summary>The command under which the other process runs; for this class alone.</summary>
    public const string Command = "fuzz-child";

    /// <summary>Resident memory that the process may take: by itself it is about 150 MiB.</summary>
    public const long MaxResident = 1L << 30;

    private const string Ready = "ready";
    private const int MaxFindings = 20;
    private static readonly TimeSpan MaxReduction = TimeSpan.FromSeconds(30);
    private readonly StringWriter _error = new(CultureInfo.InvariantCulture);
    private Process? _child;

    /// <summary>Goes on behind findings, up to twenty of them.</summary>
    /// <returns>How many inputs ran, and the findings; each lies in a file, and made smaller in a second one.</returns>
    public (long Ran, IReadOnlyList<Finding> Findings) Run(int seed, long first, long executions, TimeSpan atMost)
    {
        var clock = Stopwatch.StartNew();
        var findings = new List<Finding>();
        long index = first;
        for (; index < first + executions && clock.Elapsed < atMost && findings.Count < MaxFindings; index++)
        {
            byte[] input = HostileInput.InputOf(target, seed, index);
            if (FaultOf(input) is not { } fault) continue;
            var finding = Finding.Write(target, seed, index, fault, input);
            File.WriteAllBytes(finding.Reduced, Reduce(input));
            findings.Add(finding);
        }
        return (index - first, findings);
    }

    /// <summary>What an input breaks, or null.</summary>
    /// <exception cref="InvalidOperationException">The process does not start, or refuses what is not damaged.</exception>
    public string? FaultOf(byte[] input)
    {
        var child = _child ??= Start();
        string? fault;
        try
        {
            child.StandardInput.WriteLine(Convert.ToBase64String(input));
            fault = Answer(child);
        }
        catch (IOException)
        {
            fault = Ended(child);
        }
        if (fault is not null) End();
        return fault;
    }

    public void Dispose()
    {
        End();
        _error.Dispose();
    }

    /// <summary>What runs in the other process: an input a line, and what it breaks, or nothing, a line.</summary>
    public static int Serve(string name)
    {
        var target = HostileTarget.All().Append(HostileTarget.Planted).Single(target => target.Name == name);
        // A corpus that is refused whole would try nothing but the first check.
        foreach (byte[] sound in target.Corpus) target.Read(sound);
        using var lines = new StreamReader(Console.OpenStandardInput(), bufferSize: 1 << 16);
        using var self = Process.GetCurrentProcess();
        Console.WriteLine(Ready);
        while (lines.ReadLine() is { } line)
        {
            string? fault = HostileInput.FaultOf(target, Convert.FromBase64String(line));
            self.Refresh();
            if (self.PeakWorkingSet64 > MaxResident) fault ??= TooLarge(self.PeakWorkingSet64);
            Console.WriteLine(fault);
        }
        return 0;
    }

    /// <summary>
    /// Takes out what can be taken out, or makes it sound again where a sound input is as long: halves, quarters, and at last bytes.
    /// </summary>
    /// <remarks>Zeller and Hildebrandt, Simplifying and isolating failure-inducing input, 2002.</remarks>
    private byte[] Reduce(byte[] input)
    {
        byte[]? sound = target.Corpus.Where(sound => sound.Length == input.Length).MaxBy(sound => sound.Zip(input).Count(pair =>
            pair.First == pair.Second));
        var begun = Stopwatch.StartNew();
        for (int length = Math.Max(1, input.Length / 2); length > 0; length /= 2)
        {
            for (int at = 0; at < input.Length && begun.Elapsed < MaxReduction; at += length)
            {
                while (at < input.Length && Smaller(at, Math.Min(length, input.Length - at)).FirstOrDefault(less =>
                    FaultOf(less) is not null) is { } smaller) input = smaller;
            }
        }
        return input;

        IEnumerable<byte[]> Smaller(int at, int length)
        {
            var rest = input[(at + length)..];
            yield return [.. input[..at], .. rest];
            if (sound?.Length == input.Length && !sound.AsSpan(at, length).SequenceEqual(input.AsSpan(at, length)))
                yield return [.. input[..at], .. sound[at..(at + length)], .. rest];
        }
    }

    private string? Answer(Process child)
    {
        var answer = child.StandardOutput.ReadLineAsync();
        var begun = Stopwatch.StartNew();
        while (!answer.Wait(TimeSpan.FromMilliseconds(200)))
        {
            if (begun.Elapsed > HostileInput.Hangs) return $"did not end within {HostileInput.Hangs.TotalSeconds} s";
            if (Resident(child) is > MaxResident and long bytes) return TooLarge(bytes);
        }
        return answer.Result switch
        {
            null => Ended(child),
            "" => null,
            var fault => fault,
        };
    }

    private string Ended(Process child)
    {
        child.WaitForExit();
        string said;
        lock (_error) said = _error.ToString().ReplaceLineEndings(" ");
        return $"ended the process with {child.ExitCode}: {said[..Math.Min(said.Length, 600)]}";
    }

    private static long Resident(Process child)
    {
        try
        {
            child.Refresh();
            return child.WorkingSet64;
        }
        catch (InvalidOperationException)
        {
            // It has ended.
            return 0;
        }
    }

    private static string TooLarge(long bytes) =>
        $"took {bytes >> 20} MiB of memory, with all that the process had; expected at most {MaxResident >> 20}";

    private Process Start()
    {
        lock (_error) _error.GetStringBuilder().Clear();
        var child = Process.Start(new ProcessStartInfo("dotnet", ["exec", program, Command, target.Name])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true
        })!;
        child.ErrorDataReceived += (_, line) =>
        {
            lock (_error) _error.WriteLine(line.Data);
        };
        child.BeginErrorReadLine();
        return child.StandardOutput.ReadLine() == Ready
            ? child
            : throw new InvalidOperationException($"{target.Name}: {Ended(child)}");
    }

    private void End()
    {
        if (_child is null) return;
        _child.Kill();
        _child.WaitForExit();
        _child.Dispose();
        _child = null;
    }
}
