using System.CommandLine;
using System.Globalization;
using System.Text;
using OutlierPipeline.Footage.Simulation;
using SkiaSharp;

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
        var size = new Option<string?>("--size")
        {
            Description = "Pixels, such as 1280x720, for pictures as large as a real camera's; the simulated one has 320x192"
        };
        var sheet = new Option<bool>("--contact-sheet")
        {
            Description = "Write one picture, troubles.jpg, that shows every trouble instead"
        };
        var factors = new Option<bool>("--factors")
        {
            Description = "Write --frames frames of one place instead, whose sun, fog, curvature, traffic, vegetation and pitch are " +
                "drawn independently, and factors.csv, which says them: for outlier name"
        };
        var command = new Command("render", "Draw drives of the simulated camera into a directory") { output, first, drives, frames, rate,
            trouble, size, sheet, factors };
        command.SetAction((options, cancellation) => CommandRunner.RunAsync(async () =>
        {
            var directory = options.GetRequiredValue(output);
            directory.Create();
            if (options.GetValue(sheet))
            {
                await File.WriteAllBytesAsync(Path.Combine(directory.FullName, "troubles.jpg"),
                    ContactSheet.Render(options.GetValue(first)), cancellation);
                return 0;
            }
            if (options.GetValue(drives) < 1 || options.GetValue(frames) < 1 || options.GetValue(rate) <= 0)
                throw new CommandException("--drives, --frames and --fps must be positive");
            if (options.GetValue(factors))
            {
                await WriteFactorsAsync(directory.FullName, options.GetValue(frames), options.GetValue(first), cancellation);
                return 0;
            }
            SKSizeI? pixels = options.GetValue(size) is { } text ? Size(text) : null;
            for (int seed = options.GetValue(first); seed < options.GetValue(first) + options.GetValue(drives); seed++)
            {
                string drive = Directory.CreateDirectory(Path.Combine(directory.FullName,
                    string.Create(CultureInfo.InvariantCulture, $"drive-{seed:0000}"))).FullName;
                using var camera = new StreetCamera(seed);
                for (int i = 0; i < options.GetValue(frames); i++)
                {
                    double seconds = i / options.GetValue(rate);
                    byte[] jpeg = pixels is { } large
                        ? camera.RenderAt(large, seconds, options.GetValue(trouble))
                        : camera.Render(seconds, options.GetValue(trouble));
                    await File.WriteAllBytesAsync(Path.Combine(drive, string.Create(CultureInfo.InvariantCulture, $"{i:00000}.jpg")), jpeg,
                        cancellation);
                }
            }
            return 0;
        }));
        return command;
    }

    private static async Task WriteFactorsAsync(string directory, int count, int seed, CancellationToken cancellation)
    {
        using var camera = new StreetCamera(seed);
        var random = new Random(seed);
        var table = new StringBuilder($"file,{string.Join(',', StreetFactors.Names)}\n");
        for (int i = 0; i < count; i++)
        {
            var drawn = StreetFactors.Draw(random);
            string name = string.Create(CultureInfo.InvariantCulture, $"{i:00000}.jpg");
            await File.WriteAllBytesAsync(Path.Combine(directory, name), camera.Render(drawn), cancellation);
            table.Append(name);
            for (int k = 0; k < StreetFactors.Count; k++) table.Append(CultureInfo.InvariantCulture, $",{drawn[k]:0.####}");
            table.Append('\n');
        }
        await File.WriteAllTextAsync(Path.Combine(directory, "factors.csv"), table.ToString(), cancellation);
    }

    private static SKSizeI Size(string text)
    {
        int[] sides = [.. text.Split('x').Select(side =>
            int.TryParse(side, NumberStyles.None, CultureInfo.InvariantCulture, out int pixels) && pixels is >= 16 and <= 8192
            ? pixels
            : 0)];
        return sides.Length == 2 && sides[0] > 0 && sides[1] > 0
            ? new SKSizeI(sides[0], sides[1])
            : throw new CommandException($"--size is '{text}'; expected width and height of 16 to 8192 pixels, such as 1280x720");
    }
}
