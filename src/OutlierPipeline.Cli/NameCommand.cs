using System.CommandLine;
using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using OutlierPipeline.Evaluation;
using OutlierPipeline.Footage;
using OutlierPipeline.Inference;
using OutlierPipeline.Models;
using Spectre.Console;

namespace OutlierPipeline.Cli;

/// <summary><c>outlier name</c>: names dimensions of a package's code by what is known of frames.</summary>
internal static class NameCommand
{
    public static Command Build()
    {
        var model = new Option<string>("--model") { Required = true, Description = "Directory of a model package" };
        var frames = new Option<string[]>("--frames")
        {
            Required = true,
            AllowMultipleArgumentsPerToken = true,
            Description = $"Frames of which something is known: {FootageSource.Kinds}"
        };
        var factors = new Option<string>("--factors")
        {
            Required = true,
            Description = "A CSV file of what is known: a head such as file,sun height,speed, then lines such as 00001.jpg,0.4,12"
        };
        var write = new Option<bool>("--write") { Description = "Write the names into model.json, beside those that are there already" };
        var command = new Command("name", "Name the dimensions of a code that one known factor explains, for alerts and traversals")
        {
            model, frames, factors, write,
        };
        command.SetAction((options, cancellation) => CommandRunner.RunAsync(() => NameAsync(options.GetRequiredValue(model),
            options.GetRequiredValue(frames), options.GetRequiredValue(factors), options.GetValue(write), cancellation)));
        return command;
    }

    private static async Task<int> NameAsync(string path, string[] inputs, string file, bool isWritten, CancellationToken cancellation)
    {
        var package = ModelPackage.Load(path);
        using var footage = await ToolFootage.LoadAsync("frames", inputs, package.Card.Network.Size, camera: null, cancellation);
        var known = FactorTable.Read(file, footage);
        using var engine = new InferenceEngine(package, new InferenceOptions(), NullLogger.Instance);
        using var scorer = new FootageScorer(engine);
        float[][] codes = new float[footage.Count][];
        scorer.Score(footage.Count, footage.Read, package.Default.Mask, (i, batch, slot) => codes[i] = batch.Latent(slot).ToArray(),
            cancellation);
        if (known.Frames.Length < Disentanglement.MinFrames)
            throw new CommandException($"{file} knows {known.Frames.Length} of the frames: at least {Disentanglement.MinFrames} are " +
                "needed");
        var measured = Disentanglement.Measure([.. known.Frames.Select(i => codes[i])], known.Values);
        var names = measured.Names(known.Names);
        var table = new Table().AddColumns("dimension", "factor that explains most of it", "R² on frames left out", "name");
        foreach (int d in Enumerable.Range(0, measured.Explained.Length).OrderByDescending(d => measured.Explained[d].R2))
            table.AddRow(new[] { Text($"{d}"), known.Names[measured.Explained[d].Factor], Text($"{measured.Explained[d].R2:0.00}"),
                names.GetValueOrDefault(d, "") }.Select(Markup.Escape).ToArray());
        AnsiConsole.Write(table);
        Console.WriteLine(Text($"{names.Count} of {measured.Explained.Length} dimensions are explained by one factor ") +
            Text($"(R² of {Disentanglement.NamingR2} or more); MIG {measured.Mig:0.00}"));
        if (!isWritten) return 0;
        var all = (package.Card.Network.DimensionNames ?? new Dictionary<int, string>()).ToDictionary();
        foreach (var (dimension, name) in names) all[dimension] = name;
        var card = package.Card with { Network = package.Card.Network with { DimensionNames = all.Count == 0 ? null : all } };
        ModelPackageWriter.Write(path, card, ModelPackageWriter.ReadAll(package));
        Console.WriteLine($"{Path.Combine(path, "model.json")} is written");
        return 0;
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
