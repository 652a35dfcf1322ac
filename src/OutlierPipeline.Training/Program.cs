using System.CommandLine;
using OutlierPipeline.Training;
using OutlierPipeline.Training.Judging;
using Spectre.Console;

// A file or a pipe has no width to wrap at.
if (Console.IsOutputRedirected) AnsiConsole.Profile.Width = 240;

// A step and a checkpoint take longer than the two seconds that are usual between Ctrl-C and the end.
var configuration = new InvocationConfiguration { ProcessTerminationTimeout = TimeSpan.FromMinutes(2) };
var arguments = args is [JudgeCommand.Name, ..]
    ? new RootCommand { JudgeCommand.Build() }.Parse(args)
    : new TrainCommand().Build().Parse([TrainCommand.Name, .. args]);
int code = await arguments.InvokeAsync(configuration);
// System.CommandLine ends with 1 on wrong use; here that means a run that failed.
return arguments.Errors.Count > 0 ? 2 : code;
