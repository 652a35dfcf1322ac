using System.CommandLine;
using OutlierPipeline.Cli;
using OutlierPipeline.Cli.Benchmark;
using Spectre.Console;

// The trainer is a program of its own with its own options: what stands after 'train' is its business.
if (args is ["train", .. var rest]) return await TrainCommand.RunAsync(rest);

// A file or a pipe has no width to wrap at.
if (Console.IsOutputRedirected) AnsiConsole.Profile.Width = 200;

var root = new RootCommand(
    "Tools for OutlierPipeline: make, calibrate and judge models of normal footage; check clusters, replay and simulate cameras.")
{
    CheckCommand.Build(),
    LeaveCommand.Build(),
    ReplayCommand.Build(),
    DeadLettersCommand.Build(),
    TrainCommand.Build(),
    CalibrateCommand.Build(),
    EvaluateCommand.Build(),
    ScoreCommand.Build(),
    MineCommand.Build(),
    NameCommand.Build(),
    PictureCommands.BuildSample(),
    PictureCommands.BuildReconstruct(),
    PictureCommands.BuildTraverse(),
    TranslateCommand.Build(),
    ModelsCommand.Build(),
    SimulateCommand.Build(),
    BenchCommand.Build(),
    LoadCommand.Build(),
    BrokerCommand.Build(),
    RenderCommand.Build(),
};
// With --help behind it, an unknown command would be a question for help that is answered.
if (args.FirstOrDefault(argument => !argument.StartsWith('-')) is { } name && root.Subcommands.All(command => command.Name != name))
{
    await Console.Error.WriteLineAsync($"outlier has no command '{name}'; 'outlier --help' lists those that it has");
    return 2;
}
var arguments = root.Parse(args);
int code = await arguments.InvokeAsync();
// System.CommandLine ends with 1 on wrong use; here that means a run that failed.
return arguments.Errors.Count > 0 ? 2 : code;
