using System.CommandLine;
using System.Globalization;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using OutlierPipeline.Detection;
using OutlierPipeline.Frames;
using OutlierPipeline.Inference;
using Spectre.Console;

namespace OutlierPipeline.Cli;

/// <summary><c>outlier score</c>: a model package over a directory, as the service would score it, to CSV.</summary>
internal static class ScoreCommand
{
    public static Command Build()
    {
        var model = new Option<string>("--model") { Required = true, Description = "Directory of a model package" };
        var input = new Option<string>("--input") { Required = true, Description = "Directory of frames in name order; sub-directories are separate drives; DIR[A..B] takes a range" };
        var output = new Option<FileInfo>("--out") { Required = true, Description = "The CSV file: file, score, one column a named score, p_value, martingale" };
        var rate = new Option<double>("--fps") { DefaultValueFactory = _ => 10, Description = "Frames a second of the footage: neighbouring frames are weak evidence" };
        var command = new Command("score", "Score a directory of frames to a CSV file") { model, input, output, rate };
        command.SetAction((options, cancellation) => CommandRunner.RunAsync(() => Task.FromResult(Score(options.GetRequiredValue(model), options.GetRequiredValue(input), options.GetRequiredValue(output), options.GetValue(rate), cancellation))));
        return command;
    }

    private static int Score(string model, string input, FileInfo output, double rate, CancellationToken cancellation)
    {
        if (rate <= 0) throw new CommandException("--fps must be positive");
        var package = ModelPackage.Load(model);
        var drives = FrameDirectory.Read(input);
        using var engine = new InferenceEngine(package, new InferenceOptions(), NullLogger.Instance);
        using var decoder = new FrameDecoder(package.Card.Network.Size, new FrameLimits());
        var batch = engine.CreateBatch(1);
        var csv = new StringBuilder();
        csv.AppendJoin(',', ["file", "score", .. package.Card.Scores, "p_value", "martingale"]).Append('\n');
        int scored = 0;
        int strange = 0;
        int total = drives.Sum(drive => drive.Files.Count);
        AnsiConsole.Progress().HideCompleted(true).Start(context =>
        {
            var task = context.AddTask("scoring", maxValue: total);
            foreach (var drive in drives)
            {
                var detector = new CameraDetector(drive.Name, package, new DetectionOptions());
                var alerts = new List<AlertStep>();
                for (int i = 0; i < drive.Files.Count; i++)
                {
                    cancellation.ThrowIfCancellationRequested();
                    task.Increment(1);
                    string file = drive.Files[i];
                    csv.Append(Quoted(drive.Name == "." ? Path.GetFileName(file) : Path.Combine(drive.Name, Path.GetFileName(file))));
                    var error = decoder.Decode(File.ReadAllBytes(file), batch.Pixels(0));
                    if (error != FrameError.None)
                    {
                        Console.Error.WriteLine($"{file}: {FrameErrors.Describe(error)} ({error})");
                        csv.Append(',', package.Card.Scores.Count + 3).Append('\n');
                        continue;
                    }
                    batch.Count = 1;
                    engine.Run(batch);
                    var scores = batch.Scores(0);
                    var at = new FrameRef(drive.Name, 0, i, (long)((i + 1) * 1e9 / rate));
                    var verdict = detector.Observe(new FrameObservation { Frame = at, Scores = scores, ErrorMap = batch.ErrorMap(0), Pixels = batch.Pixels(0) }, alerts);
                    csv.Append(CultureInfo.InvariantCulture, $",{package.Calibration.Combine(scores):R}");
                    foreach (float score in scores) csv.Append(CultureInfo.InvariantCulture, $",{score:R}");
                    csv.Append(CultureInfo.InvariantCulture, $",{verdict.PValue:R},{verdict.Martingale:R}\n");
                    scored++;
                    if (verdict.IsOutlier) strange++;
                }
            }
        });
        output.Directory?.Create();
        File.WriteAllText(output.FullName, csv.ToString());
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{scored} of {total} frames scored, {strange} of them in an incident; {output}"));
        return scored > 0 ? 0 : throw new CommandException($"{input}: no frame could be decoded");
    }

    private static string Quoted(string field) => field.AsSpan().ContainsAny(",\"\n\r") ? "\"" + field.Replace("\"", "\"\"", StringComparison.Ordinal) + "\"" : field;
}
