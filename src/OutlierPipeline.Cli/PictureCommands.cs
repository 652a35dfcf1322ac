using System.CommandLine;
using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using OutlierPipeline.Evaluation;
using OutlierPipeline.Footage;
using OutlierPipeline.Frames;
using OutlierPipeline.Inference;
using OutlierPipeline.Models;

namespace OutlierPipeline.Cli;

/// <summary><c>outlier sample</c>, <c>reconstruct</c> and <c>traverse</c>: what a model knows, as grids of pictures.</summary>
internal static class PictureCommands
{
    private const int MaxPictures = 1024;

    private static Option<string> Model => new("--model") { Required = true, Description = "Directory of a model package" };

    private static Option<FileInfo> Out => new("--out") { Required = true, Description = "The PNG file" };

    private static Option<int> Columns => new("--columns") { DefaultValueFactory = _ => 6, Description = "Pictures in a row" };

    public static Command BuildSample()
    {
        var (model, output, columns) = (Model, Out, Columns);
        var count = new Option<int>("--count") { DefaultValueFactory = _ => 24, Description = "Number of pictures" };
        var seed = new Option<int>("--seed") { DefaultValueFactory = _ => 1, Description = "Seed of the codes" };
        var interpolate = new Option<bool>("--interpolate")
        {
            Description = "Each row leads from one code to another; --count is then the number of rows"
        };
        var command = new Command("sample", "Draw pictures of codes from the prior: what the model takes for normal") { model, count,
            output, columns, seed, interpolate };
        command.SetAction((options, _) => CommandRunner.RunAsync(() =>
        {
            var file = options.GetRequiredValue(output);
            OutputPath.CheckFile(file.FullName);
            var (card, graph) = ModelPackage.ReadDecoder(options.GetRequiredValue(model));
            if (card.Network.Architecture == "ae")
                throw new CommandException($"{card.Name} is an autoencoder: its codes have no prior to draw from; see traverse and " +
                    $"reconstruct");
            using var decoder = new LatentDecoder(card.Network, graph);
            var (pictures, width) = (Checked("--count", options.GetValue(count)), Checked("--columns", options.GetValue(columns)));
            return Task.FromResult(Write(file, options.GetValue(interpolate)
                ? Gallery.Interpolate(decoder, pictures, width, options.GetValue(seed))
                : Gallery.Sample(decoder, pictures, options.GetValue(seed)), card.Network.Size, width));
        }));
        return command;
    }

    public static Command BuildReconstruct()
    {
        var (model, output) = (Model, Out);
        var input = new Option<string>("--input") { Required = true, Description = $"Footage: {FootageSource.Kinds}" };
        var count = new Option<int>("--count") { DefaultValueFactory = _ => 6, Description = "Number of frames, evenly spread" };
        var command = new Command("reconstruct", "Draw frames, below them how the model draws them, and below that the error map") { model,
            input, count, output };
        command.SetAction((options, cancellation) => CommandRunner.RunAsync(async () =>
        {
            byte[] frames = await FramesAsync(options.GetRequiredValue(model), options.GetRequiredValue(input),
                Checked("--count", options.GetValue(count)), cancellation);
            return Draw(options.GetRequiredValue(model), options.GetRequiredValue(output), (gallery, package) =>
            {
                var mask = package.Default.Mask;
                return ([.. frames, .. gallery.Reconstruct(frames, mask), .. gallery.ErrorMaps(frames, mask)],
                    frames.Length / package.Card.Network.Size.Bytes);
            });
        }));
        return command;
    }

    public static Command BuildTraverse()
    {
        var (model, output, columns) = (Model, Out, Columns);
        var input = new Option<string?>("--input")
        {
            Description = $"Start from the first frame of this footage, and walk the widest " +
            $"dimensions first: {FootageSource.Kinds}. Without it, from the middle of the prior"
        };
        var rows = new Option<int>("--rows") { DefaultValueFactory = _ => 8, Description = "Number of dimensions, a row each" };
        var command = new Command("traverse", "Draw walks along single dimensions of the code") { model, input, rows, columns, output };
        command.SetAction((options, cancellation) => CommandRunner.RunAsync(async () =>
        {
            string path = options.GetRequiredValue(model);
            byte[] frames = options.GetValue(input) is { } footage ? await FramesAsync(path, footage, 16, cancellation) : [];
            return Draw(path, options.GetRequiredValue(output), (gallery, package) =>
            {
                var mask = package.Default.Mask;
                int steps = Checked("--columns", options.GetValue(columns));
                int[] order = frames.Length == 0
                    ? [.. Enumerable.Range(0, package.Card.Network.Latent)]
                    : gallery.WidestDimensions(frames, mask);
                byte[] first = frames.Length == 0 ? [] : frames[..package.Card.Network.Size.Bytes];
                int[] walked = [.. order.Take(Checked("--rows", options.GetValue(rows)))];
                Console.WriteLine("rows: " + string.Join(", ", walked.Select(d => Named(package.Card.Network, d))));
                return (gallery.Traverse(first, walked, steps, mask), steps);
            });
        }));
        return command;
    }

    /// <summary>A dimension's number, with its name where it has one in the card.</summary>
    private static string Named(NetworkCard network, int dimension) =>
        network.DimensionNames?.TryGetValue(dimension, out string? name) == true
            ? string.Create(CultureInfo.InvariantCulture, $"{dimension} ({name})")
            : dimension.ToString(CultureInfo.InvariantCulture);

    private static int Draw(string path, FileInfo output, Func<Gallery, ModelPackage, (byte[] Pixels, int Columns)> draw)
    {
        OutputPath.CheckFile(output.FullName);
        var package = ModelPackage.Load(path);
        using var engine = new InferenceEngine(package, new InferenceOptions { Accelerator = Accelerator.Cpu }, NullLogger.Instance);
        using var decoder = new LatentDecoder(package);
        var (pixels, columns) = draw(new Gallery(engine, decoder), package);
        return Write(output, pixels, package.Card.Network.Size, columns);
    }

    private static int Write(FileInfo output, byte[] pixels, FrameSize size, int columns)
    {
        output.Directory?.Create();
        File.WriteAllBytes(output.FullName, PictureGrid.Encode(pixels, size, columns));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{pixels.Length / size.Bytes} pictures; {output}"));
        return 0;
    }

    private static async Task<byte[]> FramesAsync(string path, string input, int count, CancellationToken cancellation)
    {
        using var footage = await ToolFootage.LoadAsync("footage", [input], ModelPackage.Load(path).Card.Network.Size, camera: null,
            cancellation);
        int shown = Math.Min(count, footage.Count);
        return [.. Enumerable.Range(0, shown).SelectMany(i => footage[(int)((long)i * (footage.Count - 1) / Math.Max(1, shown - 1))])];
    }

    private static int Checked(string option, int value) =>
        value is >= 1 and <= MaxPictures ? value : throw new CommandException($"{option} must be 1 to {MaxPictures}");
}
