using OutlierPipeline.Footage;
using OutlierPipeline.Frames;
using Spectre.Console;

namespace OutlierPipeline.Cli;

/// <summary>Reads footage for a command, with a progress bar.</summary>
internal static class ToolFootage
{
    /// <param name="camera">Of a topic, only this camera's frames.</param>
    /// <exception cref="FootageException">There is nothing to read, or too much of it is damaged.</exception>
    public static Task<DecodedFootage> LoadAsync(string what, IReadOnlyList<string> inputs, FrameSize size, string? camera,
        CancellationToken cancellation) =>
        AnsiConsole.Progress().HideCompleted(true).AutoClear(true).StartAsync(context =>
        {
            var task = context.AddTask($"reading {Markup.Escape(what)}", maxValue: 1);
            task.IsIndeterminate = true;
            var loader = new FootageLoader
            {
                Camera = camera,
                Progress = (seen, total) =>
                {
                    task.IsIndeterminate = total is null;
                    task.MaxValue = total ?? seen;
                    task.Value = seen;
                },
            };
            return loader.LoadAsync(inputs, size, cancellation);
        });
}
