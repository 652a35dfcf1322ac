using System.CommandLine;
using OutlierPipeline.Evaluation;
using OutlierPipeline.Footage;
using OutlierPipeline.Frames;
using OutlierPipeline.Inference;
using OutlierPipeline.Models;

namespace OutlierPipeline.Cli;

/// <summary><c>outlier translate</c>: segmentation maps of pictures, or pictures of segmentation maps.</summary>
internal static class TranslateCommand
{
    private const string Map = "map";
    private const string Picture = "picture";

    public static Command Build()
    {
        var model = new Option<string>("--model") { Required = true, Description = "Directory of a package of --architecture pix2pix" };
        var input = new Option<string>("--input")
        {
            Required = true,
            Description = $"To maps: {FootageSource.Kinds}. To pictures: a directory of label maps (PNG, a class index a pixel)"
        };
        var output = new Option<DirectoryInfo>("--out")
        {
            Required = true,
            Description = "Directory for maps/, overlays/ and legend.png, or for pictures/; files have the names of what they were made of"
        };
        var to = new Option<string?>("--to")
        {
            Description = "map or picture; by default to maps, or what the package can alone"
        };
        to.AcceptOnlyFromAmong(Map, Picture);
        var seed = new Option<int>("--seed")
        {
            DefaultValueFactory = _ => 1,
            Description = "Of the noise that pictures are drawn with"
        };
        var command = new Command("translate", "Make segmentation maps of pictures, or pictures of segmentation maps")
        {
            model, input, output, to, seed,
        };
        command.SetAction((options, cancellation) => CommandRunner.RunAsync(async () =>
        {
            string path = options.GetRequiredValue(model);
            var card = ModelPackage.ReadCard(path);
            string wanted = options.GetValue(to)
                ?? (card.Files.ContainsKey(TranslationCard.ToMap) || card.Network.Translation is null ? Map : Picture);
            using var translator = new Translator(path, wanted == Map ? TranslationCard.ToMap : TranslationCard.ToPicture);
            var directory = options.GetRequiredValue(output);
            OutputPath.CheckDirectory(directory.FullName);
            int count = wanted == Map
                ? await ToMapsAsync(translator, options.GetRequiredValue(input), directory.FullName, cancellation)
                : ToPictures(translator, options.GetRequiredValue(input), directory.FullName, options.GetValue(seed), cancellation);
            Console.WriteLine(FormattableString.Invariant($"{count} {wanted}s; {directory}"));
            return 0;
        }));
        return command;
    }

    private static async Task<int> ToMapsAsync(Translator translator, string input, string output, CancellationToken cancellation)
    {
        var palette = translator.Maps.Classes.Select(one => one.Rgb).ToArray();
        using var decoder = new FrameDecoder(translator.Size, FrameLimits.Footage);
        var names = new HashSet<string>();
        byte[] pixels = new byte[translator.Size.Bytes];
        await foreach (var frame in FootageSource.Open(input).ReadAsync(cancellation))
        {
            cancellation.ThrowIfCancellationRequested();
            var error = ImageHeader.Read(frame.Encoded.Span, FrameLimits.Footage, out var header);
            if (error == FrameError.None) error = decoder.Decode(frame.Encoded.Span, pixels);
            if (error != FrameError.None) throw new FootageException($"{frame.Name}: {FrameErrors.Describe(error)} ({error})");
            string name = NameOf(frame.Drive, frame.Name, names);
            var (map, _) = translator.ToMap(pixels);
            Write(output, "maps", name, LabelMap.Restore(map, translator.Size, header.Height, header.Width).Encode(palette));
            Write(output, "overlays", name, PictureGrid.Encode(MapPictures.Overlay(pixels, map, palette), translator.Size, 1));
        }
        if (names.Count == 0) throw new FootageException($"{input}: no pictures in it");
        await File.WriteAllBytesAsync(Path.Combine(output, "legend.png"), MapPictures.Legend(translator.Maps.Classes), cancellation);
        return names.Count;
    }

    private static int ToPictures(Translator translator, string input, string output, int seed, CancellationToken cancellation)
    {
        var (size, random) = (translator.Size, new Random(seed));
        var names = new HashSet<string>();
        foreach (var drive in FrameDirectory.Read(input, Console.Error.WriteLine))
        {
            foreach (string file in drive.Files)
            {
                cancellation.ThrowIfCancellationRequested();
                var map = LabelMap.Read(file);
                LabelFiles.Check(map, file, translator.Maps.Classes);
                double ratio = (double)map.Width * size.Height / ((double)map.Height * size.Width);
                if (Math.Abs(ratio - 1) > 0.05)
                    throw new FootageException($"{file} is {map.Width}×{map.Height}, of another shape than the maps that the package " +
                        $"draws pictures of, {size}");
                byte[] drawn = translator.ToPicture(map.FitTo(size), Noise(random, translator.Maps.Noise));
                Write(output, "pictures", NameOf(drive.Name, file, names), PictureGrid.Encode(drawn, size, 1));
            }
        }
        return names.Count;
    }

    /// <summary>Standard normal.</summary>
    private static float[] Noise(Random random, int count) => [.. Enumerable.Range(0, count).Select(_ =>
        (float)(Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble())))];

    /// <summary>The frame's name in its drive's directory, or its number where it has no file.</summary>
    private static string NameOf(string drive, string name, HashSet<string> taken)
    {
        string own = File.Exists(name) ? Path.GetFileNameWithoutExtension(name)
            : FormattableString.Invariant($"{taken.Count:000000}");
        string path = drive == "." ? own : Path.Combine(drive.TrimStart('/').Replace("..", "", StringComparison.Ordinal), own);
        if (!taken.Add(path)) throw new FootageException($"{name}: another picture of this directory has the same name but for its ending");
        return path;
    }

    private static void Write(string output, string kind, string name, byte[] png)
    {
        string file = Path.Combine(output, kind, name + ".png");
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        File.WriteAllBytes(file, png);
    }
}
