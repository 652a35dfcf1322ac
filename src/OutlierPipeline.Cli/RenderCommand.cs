using System.CommandLine;
using System.Globalization;
using OutlierPipeline.Simulation;

namespace OutlierPipeline.Cli;

/// <summary><c>outlier render</c>: drives of the simulated camera as directories of JPEGs.</summary>
internal static class RenderCommand
{
    public static Command Build()
    {
        var output = new Option<DirectoryInfo>("--out") { Required = true, Description = "Directory; each drive becomes a sub-directory" };
        var first = new Option<int>("--seed") { DefaultValueFactory = _ => 1, Description = "Seed of the first drive; the others follow" };
        var drives = new Option<int>("--drives") { DefaultValueFactory = _ => 1, Description = "Number of drives" };
        var frames = new Option<int>("--frames") { DefaultValueFactory = _ => 100, Description = "Frames of each drive" };
        var rate = new Option<double>("--fps") { DefaultValueFactory = _ => 10, Description = "Frames a second of drive" };
        var trouble = new Option<Trouble>("--trouble") { Description = "Weather or fault in every frame" };
        var sheet = new Option<bool>("--contact-sheet") { Description = "Write one picture, troubles.jpg, that shows every trouble instead" };
        var command = new Command("render", "Draw drives of the simulated camera into a directory") { output, first, drives, frames, rate, trouble, sheet };
        command.SetAction((options, cancellation) => CommandRunner.RunAsync(async () =>
        {
            var directory = options.GetRequiredValue(output);
            directory.Create();
            if (options.GetValue(sheet))
            {
                await File.WriteAllBytesAsync(Path.Combine(directory.FullName, "troubles.jpg"), ContactSheet.Render(options.GetValue(first)), cancellation);
                return 0;
            }
            if (options.GetValue(drives) < 1 || options.GetValue(frames) < 1 || options.GetValue(rate) <= 0) throw new CommandException("--drives, --frames and --fps must be positive");
            for (int seed = options.GetValue(first); seed < options.GetValue(first) + options.GetValue(drives); seed++)
            {
                string drive = Directory.CreateDirectory(Path.Combine(directory.FullName, string.Create(CultureInfo.InvariantCulture, $"drive-{seed:0000}"))).FullName;
                using var camera = new StreetCamera(seed);
                for (int i = 0; i < options.GetValue(frames); i++)
                    await File.WriteAllBytesAsync(Path.Combine(drive, string.Create(CultureInfo.InvariantCulture, $"{i:00000}.jpg")), camera.Render(i / options.GetValue(rate), options.GetValue(trouble)), cancellation);
            }
            return 0;
        }));
        return command;
    }
}
