using System.CommandLine;
using System.Diagnostics;

namespace OutlierPipeline.Cli;

/// <summary><c>outlier train</c>: starts the trainer, which alone carries libtorch.</summary>
internal static class TrainCommand
{
    private const string Project = "OutlierPipeline.Training";

    /// <summary>For the list of commands; <see cref="RunAsync"/> does the work.</summary>
    public static Command Build() =>
        new("train", "Train a model on footage of your own and write a model package ('outlier train --help')");

    public static async Task<int> RunAsync(IReadOnlyList<string> arguments)
    {
        string installed = Path.Combine(AppContext.BaseDirectory, "training", Project + ".dll");
        string? source = FindProject();
        if (!File.Exists(installed) && source is null)
        {
            await Console.Error.WriteLineAsync($"the trainer is not installed: publish src/{Project} to " +
                $"{Path.GetDirectoryName(installed)}, or run from a clone of the repository");
            return 1;
        }
        var start = new ProcessStartInfo("dotnet");
        string[] program = File.Exists(installed)
            ? ["exec", installed]
            : ["run", "-c", "Release", "-v", "quiet", "--project", source!, "--"];
        foreach (string argument in program.Concat(arguments)) start.ArgumentList.Add(argument);
        // Ctrl-C reaches the trainer too, which decides when to end.
        Console.CancelKeyPress += (_, cancel) => cancel.Cancel = true;
        using var process = Process.Start(start)!;
        await process.WaitForExitAsync();
        return process.ExitCode;
    }

    private static string? FindProject()
    {
        for (var directory = new DirectoryInfo(AppContext.BaseDirectory); directory is not null; directory = directory.Parent)
        {
            string candidate = Path.Combine(directory.FullName, "src", Project);
            if (Directory.Exists(candidate)) return candidate;
        }
        return null;
    }
}
