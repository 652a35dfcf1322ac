using System.CommandLine;
using System.Globalization;
using System.Net;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using OutlierPipeline.Cli.Evaluation;
using OutlierPipeline.Evaluation;
using OutlierPipeline.Footage;
using OutlierPipeline.Inference;
using OutlierPipeline.Models;

namespace OutlierPipeline.Cli;

/// <summary><c>outlier mine</c>: the rarest frames of some footage, for people who label or record more of them.</summary>
internal static class MineCommand
{
    private const int MaxCount = 10_000;

    public static Command Build()
    {
        var model = new Option<string>("--model") { Required = true, Description = "Directory of a model package" };
        var frames = new Option<string[]>("--frames")
        {
            Required = true,
            AllowMultipleArgumentsPerToken = true,
            Description = $"Footage to look through: {FootageSource.Kinds}"
        };
        var output = new Option<DirectoryInfo>("--out")
        {
            Required = true,
            Description = "Directory for mine.html (the pictures), mine.csv (the list) and frames/ (the files, for annotators)"
        };
        var count = new Option<int>("--count") { DefaultValueFactory = _ => 50, Description = "Frames wanted" };
        var perDrive = new Option<bool>("--per-drive") { Description = "So many of each drive, instead of all together" };
        var apart = new Option<double>("--apart")
        {
            DefaultValueFactory = _ => RareFrames.DefaultApart,
            Description = "Frames whose codes are nearer than this look alike, and one of them is enough: 0 keeps all"
        };
        var camera = new Option<string?>("--camera")
        {
            Description = "Look as this camera, with its own mask if the package has one"
        };
        var command = new Command("mine", "Find the rarest frames of footage by the density of their codes: mine.html, mine.csv, frames/")
        {
            model, frames, output, count, perDrive, apart, camera,
        };
        command.SetAction((options, cancellation) => CommandRunner.RunAsync(() =>
        {
            if (options.GetValue(count) is < 1 or > MaxCount) throw new CommandException($"--count must be 1 to {MaxCount}");
            if (!(options.GetValue(apart) >= 0)) throw new CommandException("--apart must not be negative");
            return MineAsync(options.GetRequiredValue(model), options.GetRequiredValue(frames), options.GetRequiredValue(output).FullName,
                options.GetValue(count), options.GetValue(perDrive), options.GetValue(apart), options.GetValue(camera), cancellation);
        }));
        return command;
    }

    private static async Task<int> MineAsync(string path, string[] inputs, string output, int count, bool perDrive, double apart,
        string? camera, CancellationToken cancellation)
    {
        OutputPath.CheckDirectory(output);
        var package = ModelPackage.Load(path);
        using var footage = await ToolFootage.LoadAsync("frames", inputs, package.Card.Network.Size, camera, cancellation);
        var names = new HashSet<string>();
        // By their names the files are found again.
        if (Enumerable.Range(0, footage.Count).Select(footage.NameOf).FirstOrDefault(name => !names.Add(name)) is { } twice)
            throw new CommandException($"--frames: {twice} is there twice: give each frame once");
        using var engine = new InferenceEngine(package, new InferenceOptions(), NullLogger.Instance);
        using var scorer = new FootageScorer(engine);
        float[][] codes = new float[footage.Count][];
        scorer.Score(footage.Count, footage.Read, package.For(camera ?? "").Mask, (i, batch, slot) =>
            codes[i] = batch.Latent(slot).ToArray(), cancellation);
        var rare = RareFrames.Find(codes, count, perDrive ? [.. footage.Drives.Select(drive => drive.Count)] : null, apart);
        string[] drives = new string[footage.Count];
        foreach (var drive in footage.Drives) Array.Fill(drives, drive.Name, drive.First, drive.Count);

        Directory.CreateDirectory(Path.Combine(output, "frames"));
        string[] files = await CopyAsync(inputs, camera, rare.Select(frame => footage.NameOf(frame.Index)).ToList(), output, cancellation);
        await File.WriteAllTextAsync(Path.Combine(output, "mine.csv"), List(footage, rare, drives, files), cancellation);
        await File.WriteAllTextAsync(Path.Combine(output, "mine.html"), Sheet(package, footage, rare, drives), cancellation);
        int wanted = perDrive ? footage.Drives.Sum(drive => Math.Min(count, drive.Count)) : Math.Min(count, footage.Count);
        string fewer = rare.Count < wanted ? $" ({wanted - rare.Count} fewer than asked for: all others look like one of these)" : "";
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{rare.Count} of {footage.Count} frames{fewer}; {Path.Combine(output, "mine.html")}"));
        return 0;
    }

    /// <summary>Writes the encoded pictures as they were, numbered by rank.</summary>
    /// <returns>Their names, in the order of <paramref name="names"/>.</returns>
    private static async Task<string[]> CopyAsync(string[] inputs, string? camera, List<string> names, string output,
        CancellationToken cancellation)
    {
        string[] files = new string[names.Count];
        var ranks = names.Select((name, rank) => (name, rank)).ToDictionary(pair => pair.name, pair => pair.rank);
        foreach (string input in inputs)
        {
            // What cannot be read was told when the footage was read first.
            await foreach (var frame in FootageSource.Open(input, camera, _ => { }).ReadAsync(cancellation))
            {
                if (!ranks.Remove(frame.Name, out int rank)) continue;
                string type = FootageSource.ContentType(frame.Encoded.Span) is { } content ? content["image/".Length..] : "jpeg";
                string stem = string.Concat(Path.GetFileNameWithoutExtension(frame.Name)
                    .Select(character => char.IsAsciiLetterOrDigit(character) || character is '-' or '_' ? character : '-'));
                files[rank] = string.Create(CultureInfo.InvariantCulture,
                    $"{rank + 1:0000}-{stem}.{(type == "jpeg" ? "jpg" : type)}");
                await File.WriteAllBytesAsync(Path.Combine(output, "frames", files[rank]), frame.Encoded, cancellation);
            }
        }
        if (ranks.Count > 0)
            throw new CommandException($"{ranks.First().Key} was there when the footage was read first and is gone now: nothing else of " +
                $"what {output} has is missing but {ranks.Count} files in frames/");
        return files;
    }

    private static string List(DecodedFootage footage, IReadOnlyList<RareFrame> rare, string[] drives, string[] files)
    {
        var csv = new StringBuilder("rank,file,drive,source,rarity,rarer_than,alike\n");
        for (int rank = 0; rank < rare.Count; rank++)
        {
            var frame = rare[rank];
            csv.Append(CultureInfo.InvariantCulture, $"{rank + 1},{Field("frames/" + files[rank])},{Field(drives[frame.Index])}," +
                $"{Field(footage.NameOf(frame.Index))},{frame.Rarity:0.0000},{frame.Above:0.0000},{frame.Alike}\n");
        }
        return csv.ToString();
    }

    private static string Field(string text) => text.AsSpan().IndexOfAny(",\"\n") < 0 ? text : $"\"{text.Replace("\"", "\"\"")}\"";

    private static string Sheet(ModelPackage package, DecodedFootage footage, IReadOnlyList<RareFrame> rare, string[] drives)
    {
        var html = new StringBuilder();
        html.Append(CultureInfo.InvariantCulture, $"<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta " +
            $"name=\"viewport\" content=\"width=device-width\"><title>Rare frames</title><style>{HtmlReport.Style}</style></head><body>" +
            $"<main><h1>Rare frames</h1><p>The {rare.Count} rarest of {footage.Count} frames, by the density of the codes that " +
            $"{WebUtility.HtmlEncode(package.Card.Name)} {WebUtility.HtmlEncode(package.Card.Version)} gives them. The rarest come " +
                $"first. " +
            $"Of frames that look alike one is shown. The files are in <code>frames/</code>, the list is <code>mine.csv</code>.</p>");
        foreach (var (frame, rank) in rare.Select((frame, rank) => (frame, rank + 1)))
        {
            string picture = Convert.ToBase64String(PictureGrid.Encode(footage[frame.Index], footage.Size, 1));
            string name = WebUtility.HtmlEncode(Path.GetFileName(footage.NameOf(frame.Index)));
            string drive = drives[frame.Index] == "." ? "" : $"{WebUtility.HtmlEncode(drives[frame.Index])}: ";
            string alike = frame.Alike == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $", {frame.Alike} more like it");
            html.Append(CultureInfo.InvariantCulture, $"<figure><img alt=\"{name}\" src=\"data:image/png;base64,{picture}\"><figcaption>" +
                $"{rank}. {drive}{name}: rarer than {frame.Above:P1}{alike}</figcaption></figure>");
        }
        return html.Append("</main></body></html>\n").ToString();
    }
}
