using System.Globalization;
using System.Text.Json;
using Spectre.Console;

namespace OutlierPipeline.Cli.Benchmark;

/// <summary>Figures of one run, with what is needed to read them.</summary>
internal sealed record BenchReport
{
    private static readonly JsonSerializerOptions Options = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    public required string Machine { get; init; }

    public required string Versions { get; init; }

    public required string Model { get; init; }

    public required string Command { get; init; }

    public required IReadOnlyList<NetworkFigures> Network { get; init; }

    public required IReadOnlyList<EndToEndFigures> EndToEnd { get; init; }

    public static BenchReport Load(string file)
    {
        try
        {
            return JsonSerializer.Deserialize<BenchReport>(File.ReadAllText(file), Options)
                ?? throw new CommandException($"{file}: no figures of outlier bench");
        }
        catch (JsonException e)
        {
            throw new CommandException($"{file}: no figures of outlier bench: {e.Message}");
        }
    }

    public void Save(string file) => File.WriteAllText(file, JsonSerializer.Serialize(this, Options) + "\n");

    /// <summary>Tables for a person; ratios are to <paramref name="other"/>.</summary>
    public void Print(BenchReport? other)
    {
        AnsiConsole.MarkupLineInterpolated($"{Machine}; {Versions}; {Model}");
        var table = new Table().AddColumns("accelerator", "precision", "start (s)", "batch", "p50 (ms)", "p99 (ms)", "frames/s", "GFLOP/s",
            "of peak", "of copying", "deviation");
        if (other is not null) table.AddColumn($"against {Markup.Escape(other.Model)}");
        foreach (var row in Network)
        {
            string[] cells =
            [
                row.Accelerator, row.Precision, Number(row.StartSeconds, "0.0"), Number(row.Batch, "0"),
                Number(row.P50Milliseconds, "0.000"), Number(row.P99Milliseconds, "0.000"), Number(row.FramesPerSecond, "0"),
                Number(row.GigaflopsPerSecond, "0.0"), Number(100 * row.ShareOfPeak, "0") + " %",
                    Number(100 * row.ShareOfCopying, "0.00") + " %",
                Number(row.Deviation, "0.0e0"),
            ];
            var before = other?.Network.FirstOrDefault(candidate => candidate.Accelerator == row.Accelerator
                && candidate.Precision == row.Precision && candidate.Batch == row.Batch);
            table.AddRow(other is null
                ? cells
                : [.. cells, before is null ? "-" : "× " + Number(row.FramesPerSecond / before.FramesPerSecond, "0.00")]);
        }
        AnsiConsole.Write(table);
        foreach (var path in EndToEnd)
        {
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"from bytes to scores with {path.Decoder}: " +
                $"{path.FramesPerSecond:0} frames/s of {path.Pictures} pictures ({path.MeanBytes / 1024:0} KiB, {path.Size}); " +
                $"{path.RatioToBareLoop:0.00} of a bare loop ({path.BareFramesPerSecond:0} frames/s)"));
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  time a frame takes: decoding " +
                $"{path.DecodeMilliseconds:0.000} ms ({100 * path.DecodeShare:0} %), scoring {path.InferMilliseconds:0.000} ms " +
                $"({100 * (1 - path.DecodeShare):0} %); {path.AllocatedBytes:0.00} bytes allocated; cores " +
                        $"{100 * path.ProcessorShare:0} % busy"));
            if (path.Decoder == "nvJPEG") Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  pictures differ by " +
                $"{path.PictureDifference:0.00} grey levels on average from the CPU's; {path.RefusedPercent:0.0} % are left to it"));
            if (path != EndToEnd[0])
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                    $"  against {EndToEnd[0].Decoder}: × {path.FramesPerSecond / EndToEnd[0].FramesPerSecond:0.00}"));
            if (other?.EndToEnd.FirstOrDefault(candidate => candidate.Decoder == path.Decoder) is { } earlier)
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                    $"  against {other.Model}: × {path.FramesPerSecond / earlier.FramesPerSecond:0.00}"));
        }
    }

    private static string Number(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);
}

/// <summary>The graph alone, uint8 in and scores out, copies included.</summary>
/// <param name="StartSeconds">From nothing to a batch of the largest size that may run: loading, choosing kernels, recording CUDA
/// graphs.</param>
/// <param name="P50Milliseconds">Of one batch after the other.</param>
/// <param name="FramesPerSecond">With as many batches under way as the engine takes at once.</param>
/// <param name="ShareOfPeak">Of the rate of a large matrix product, measured on the same device in the same run.</param>
/// <param name="ShareOfCopying">Of the rate at which memory is copied, to the GPU where one computes.</param>
/// <param name="Deviation">Largest difference of a score from a CPU's in float32, by 1 + its size.</param>
internal sealed record NetworkFigures(string Accelerator, string Precision, int Batch, double StartSeconds, double P50Milliseconds,
    double P99Milliseconds, double FramesPerSecond, double GigaflopsPerSecond, double ShareOfPeak, double ShareOfCopying, double Deviation);

/// <summary>From encoded pictures in memory to scores, on the service's own frame path.</summary>
/// <param name="DecodeMilliseconds">Of one picture: of one core, or of a GPU that does many at once.</param>
/// <param name="BareFramesPerSecond">Of a loop that decodes a batch with all cores, then scores it, and does nothing else; mean of one
/// before and one after.</param>
/// <param name="DecodeShare">Of the work of all cores.</param>
/// <param name="ProcessorShare">Processor time over wall time and cores.</param>
/// <param name="PictureDifference">Of what nvJPEG decodes from what the CPU does, in grey levels on average.</param>
/// <param name="RefusedPercent">Pictures that nvJPEG leaves to the CPU.</param>
internal sealed record EndToEndFigures(string Decoder, int Pictures, string Size, double MeanBytes, double FramesPerSecond,
    double BareFramesPerSecond, double RatioToBareLoop, double DecodeMilliseconds, double InferMilliseconds, double DecodeShare,
    double AllocatedBytes, double ProcessorShare, double PictureDifference, double RefusedPercent);
