using System.CommandLine;
using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.ML.OnnxRuntime;
using OutlierPipeline.Inference;
using OutlierPipeline.Models;

namespace OutlierPipeline.Cli.Benchmark;

/// <summary><c>outlier bench</c>: how fast a model is on this machine.</summary>
internal static class BenchCommand
{
    public static Command Build()
    {
        var model = new Option<string>("--model") { Required = true, Description = "Directory of a model package" };
        var accelerators = new Option<Accelerator[]>("--accelerator")
        {
            AllowMultipleArgumentsPerToken = true,
            DefaultValueFactory = _ => [Accelerator.Auto],
            Description = "What computes: auto, cpu, cuda (without and with CUDA graphs), tensorrt; several are measured one after the " +
                "other"
        };
        var precision = new Option<Precision>("--precision") { Description = "auto, fp32 or fp16" };
        var batches = new Option<string>("--batch") { DefaultValueFactory = _ => "1,8,32,128", Description = "Batch sizes, with commas" };
        var seconds = new Option<double>("--seconds") { DefaultValueFactory = _ => 3, Description = "How long each size is measured" };
        var threads = new Option<int>("--threads") { Description = "Threads of a CPU session; one a core by default" };
        var frames = new Option<DirectoryInfo?>("--end-to-end")
        {
            Description = "A directory of pictures: measure from their bytes in memory to scores too"
        };
        var file = new Option<FileInfo?>("--out") { Description = "Write the figures as JSON" };
        var compare = new Option<FileInfo?>("--compare") { Description = "JSON of another run: print ratios to it" };
        var graph = new Option<FileInfo?>("--graph")
        {
            Description = "Write the graph that is measured, in float32, as ONNX: for tests/pytorch-bench.py"
        };
        var command = new Command("bench", "Measure how fast a model is on this machine") { model, accelerators, precision, batches,
            seconds, threads, frames, graph, file, compare };
        command.SetAction((options, cancellation) => CommandRunner.RunAsync(() =>
        {
            int[] sizes = Sizes(options.GetRequiredValue(batches));
            if (options.GetValue(seconds) is not (>= 0.1 and <= 600)) throw new CommandException("--seconds must be 0.1 to 600");
            var inference = new InferenceOptions { Precision = options.GetValue(precision), Threads = options.GetValue(threads) };
            foreach (string fault in inference.Validate()) throw new CommandException(fault);
            if (options.GetValue(file) is { } figures) OutputPath.CheckFile(figures.FullName);
            var other = options.GetValue(compare) is { } earlier ? BenchReport.Load(earlier.FullName) : null;
            var package = ModelPackage.Load(options.GetRequiredValue(model));
            if (options.GetValue(graph) is { } onnx) File.WriteAllBytes(onnx.FullName, InferenceEngine.FrameGraph(package, Precision.Fp32));
            var time = TimeSpan.FromSeconds(options.GetValue(seconds));
            var rows = new List<NetworkFigures>();
            foreach (var accelerator in options.GetRequiredValue(accelerators))
            {
                rows.AddRange(Measure(inference with { Accelerator = accelerator, CudaGraphs = accelerator != Accelerator.Cuda }, null));
                if (accelerator == Accelerator.Cuda)
                    rows.AddRange(Measure(inference with { Accelerator = accelerator, CudaGraphs = true }, "Cuda, graphs"));
            }
            var report = new BenchReport
            {
                Machine = $"{Environment.ProcessorCount} cores, {RuntimeInformation.OSArchitecture}, {RuntimeInformation.OSDescription}",
                Versions = $"ONNX Runtime {OrtEnv.Instance().GetVersionString()}, .NET {Environment.Version}",
                Model = $"{package.Card.Name} {package.Card.Version}, {package.Card.Network.Size}, " +
                    $"{package.Card.Network.FlopsPerFrame / 1e6:0} MFLOP a frame".ToString(CultureInfo.InvariantCulture),
                Command = "outlier " + string.Join(' ', Environment.GetCommandLineArgs().Skip(1)),
                Network = rows,
                EndToEnd = options.GetValue(frames) is { } directory
                    ? [.. new EndToEndBench(package, inference with { Accelerator = options.GetRequiredValue(accelerators)[0] },
                    EndToEndBench.Load(directory.FullName), time, cancellation).Measure()] : [],
            };
            report.Print(other);
            if (options.GetValue(file) is { } target) report.Save(target.FullName);
            return Task.FromResult(0);

            IEnumerable<NetworkFigures> Measure(InferenceOptions with, string? name) =>
                NetworkBench.Measure(() => new InferenceEngine(package, with, NullLogger.Instance), name, sizes, time, cancellation);
        }));
        return command;
    }

    private static int[] Sizes(string text)
    {
        int[] sizes = [.. text.Split(',').Select(part => int.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out int size)
            && size is >= 1 and <= 4096
            ? size
            : throw new CommandException($"--batch is '{text}'; expected sizes of 1 to 4096 with commas, such as 1,8,32"))];
        return [.. sizes.Distinct()];
    }
}
