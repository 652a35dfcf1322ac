using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using OutlierPipeline.Footage;

namespace OutlierPipeline.Cli;

/// <summary>
/// <c>outlier evaluate --leave-one-drive-out</c>: every drive judged by a model of the others. It trains, so the trainer does it.
/// </summary>
internal sealed class LeaveOneDriveOut
{
    public Option<bool> IsAsked { get; } = new("--leave-one-drive-out")
    {
        Description = "Instead of --model: train a package for each drive of --normal on the others, and judge the drive by it"
    };

    public Option<string[]> Train { get; } = new("--train")
    {
        AllowMultipleArgumentsPerToken = true,
        Description = $"With --leave-one-drive-out: footage that trains every model and is not judged: {FootageSource.Kinds}"
    };

    public Option<bool> Baselines { get; } = new("--baselines")
    {
        Description = "With --leave-one-drive-out: also train SelfOracle, VAE + ICAD and PaDiM on the same frames (some minutes a drive)"
    };

    public void Check(CommandResult result, string? model)
    {
        bool asks = result.GetValue(IsAsked);
        if (asks == model is not null) result.AddError("either --model or --leave-one-drive-out is needed");
        if (!asks && (result.GetValue(Train) is { Length: > 0 } || result.GetValue(Baselines)))
            result.AddError("--train and --baselines go with --leave-one-drive-out");
    }

    /// <param name="frames">Normal frames that each kind is drawn over at most.</param>
    public Task<int> RunAsync(ParseResult options, string[] normal, string[] outliers, int frames, int seed, DirectoryInfo output,
        string line)
    {
        List<string> arguments = ["judge", "--normal", .. normal, "--frames", Text(frames), "--seed", Text(seed), "--out", output.FullName,
            "--command", line];
        if (options.GetValue(Train) is { Length: > 0 } train) arguments.AddRange(["--train", .. train]);
        if (outliers.Length > 0) arguments.AddRange(["--outlier", .. outliers]);
        if (options.GetValue(Baselines)) arguments.Add("--baselines");
        return TrainCommand.RunAsync(arguments);
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
