using System.CommandLine;
using OutlierPipeline.Evaluation;
using OutlierPipeline.Frames;
using OutlierPipeline.Models;

namespace OutlierPipeline.Training.Judging;

/// <summary>
/// <c>judge</c>, which <c>outlier evaluate --leave-one-drive-out</c> starts: its options are described there.
/// </summary>
internal static class JudgeCommand
{
    public const string Name = "judge";

    public static Command Build()
    {
        var normal = new Option<string[]>("--normal") { Required = true, AllowMultipleArgumentsPerToken = true };
        var train = new Option<string[]>("--train") { AllowMultipleArgumentsPerToken = true };
        var outlier = new Option<string[]>("--outlier") { AllowMultipleArgumentsPerToken = true };
        var frames = new Option<int>("--frames") { Required = true };
        var seed = new Option<int>("--seed") { Required = true };
        var threads = new Option<int>("--threads");
        var baselines = new Option<bool>("--baselines");
        var output = new Option<DirectoryInfo>("--out") { Required = true };
        var command = new Option<string>("--command") { Required = true };
        var judge = new Command(Name) { normal, train, outlier, frames, seed, threads, baselines, output, command };
        judge.SetAction(async (options, cancellation) =>
        {
            string directory = options.GetRequiredValue(output).FullName;
            try
            {
                OutputPath.CheckDirectory(directory);
                Directory.CreateDirectory(directory);
                var request = new JudgeRequest(options.GetRequiredValue(normal), options.GetValue(train) ?? [],
                    [.. (options.GetValue(outlier) ?? []).Select(pair => pair.Split('=', 2)).Select(pair => (pair[0], pair[1]))], directory,
                    options.GetValue(frames), options.GetValue(seed), options.GetValue(threads), options.GetValue(baselines),
                    options.GetRequiredValue(command));
                var report = await new LeaveOneDriveOut(request).RunAsync(Console.WriteLine, cancellation);
                int baseline = report.Columns.Count - (request.HasBaselines ? 3 : 0);
                string[] detectors = [FrameDetector.Combined, .. report.Columns.Skip(baseline)];
                string tables = report.ToMarkdown(detectors);
                await File.WriteAllTextAsync(Path.Combine(directory, "report.json"), report.ToJson(), cancellation);
                await File.WriteAllTextAsync(Path.Combine(directory, "report.md"), tables, cancellation);
                Console.Write(tables);
                return 0;
            }
            catch (Exception e) when (e is FootageException or TrainingException or ModelPackageException or ArgumentException
                or IOException or UnauthorizedAccessException or System.Runtime.InteropServices.ExternalException)
            {
                await Console.Error.WriteLineAsync(e.Message.ReplaceLineEndings(" "));
                return 1;
            }
            catch (OperationCanceledException)
            {
                await Console.Error.WriteLineAsync("interrupted; no report was written");
                return 130;
            }
        });
        return judge;
    }
}
