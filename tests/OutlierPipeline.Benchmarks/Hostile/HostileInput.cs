using System.Diagnostics;
using System.Globalization;

namespace OutlierPipeline.Benchmarks.Hostile;

/// <summary>What broke a promise: the input lies in <paramref name="File"/>.</summary>
internal sealed record Finding(string Target, int Seed, long Index, string Fault, string File)
{
    /// <summary>Where a smaller input lies that breaks a promise too, of targets in a process of their own.</summary>
    public string Reduced => File + ".reduced";

    public static Finding Write(HostileTarget target, int seed, long index, string fault, byte[] input)
    {
        string file = Path.Combine(Path.GetTempPath(), $"hostile-{target.Name}-{seed}-{index}.bin");
        System.IO.File.WriteAllBytes(file, input);
        return new Finding(target.Name, seed, index, fault, file);
    }

    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"{Target}: {Fault}; input in {File}; again: fuzz --target {Target} --seed {Seed} --first {Index} --executions 1");
}

/// <summary>Runs targets in this process on damaged inputs. Each input follows from target, seed and its number alone.</summary>
internal static class HostileInput
{
    /// <summary>After that an input hangs.</summary>
    public static readonly TimeSpan Hangs = TimeSpan.FromSeconds(60);

    /// <summary>Managed memory that one input may allocate.</summary>
    public const long MaxAllocated = 256L << 20;

    /// <summary>Stops at the first finding.</summary>
    /// <returns>How many inputs ran, and the finding if there is one.</returns>
    public static (long Ran, Finding? Finding) Run(HostileTarget target, int seed, long first, long executions, TimeSpan atMost)
    {
        var clock = Stopwatch.StartNew();
        Finding? finding = null;
        byte[] input = [];
        // A corpus that is refused whole would try nothing but the first check.
        foreach (byte[] sound in target.Corpus) target.Read(sound);
        long index = first;
        long startedAt = Stopwatch.GetTimestamp();
        var worker = new Thread(() =>
        {
            while (index < first + executions && clock.Elapsed < atMost)
            {
                input = InputOf(target, seed, index);
                Volatile.Write(ref startedAt, Stopwatch.GetTimestamp());
                if (FaultOf(target, input) is { } fault)
                {
                    finding = Write(fault);
                    return;
                }
                Interlocked.Increment(ref index);
            }
        })
        { IsBackground = true };
        worker.Start();
        while (!worker.Join(TimeSpan.FromSeconds(1)))
        {
            if (Stopwatch.GetElapsedTime(Volatile.Read(ref startedAt)) > Hangs)
                return (index - first, Write($"did not end within {Hangs.TotalSeconds} s"));
        }
        return (index - first, finding);

        Finding Write(string fault) => Finding.Write(target, seed, index, fault, input);
    }

    /// <summary>What an input breaks, or null.</summary>
    public static string? FaultOf(HostileTarget target, byte[] input)
    {
        var shortest = TimeSpan.MaxValue;
        for (int attempt = 0; attempt < 3 && shortest > target.MaxTime; attempt++)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            long start = Stopwatch.GetTimestamp();
            try
            {
                target.Read(input);
            }
            catch (Exception e) when (target.Documented(e))
            {
                // Refused as it is documented.
            }
            catch (Exception e)
            {
                return $"{e.GetType().Name} {e.Message} {e.StackTrace}".ReplaceLineEndings(" ");
            }
            var elapsed = Stopwatch.GetElapsedTime(start);
            if (elapsed < shortest) shortest = elapsed;
            long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
            if (allocated > MaxAllocated) return $"allocated {allocated} bytes, expected at most {MaxAllocated}";
        }
        return shortest > target.MaxTime
            ? $"took {shortest.TotalSeconds:0.0} s, expected at most {target.MaxTime.TotalSeconds} s"
            : null;
    }

    public static byte[] InputOf(HostileTarget target, int seed, long index) =>
        new Mutator(target.Corpus, new Random(unchecked((seed * 1_000_003) ^ (int)(index * 2_654_435_761L)))).Next();
}
