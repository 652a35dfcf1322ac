using System.CommandLine;
using System.Globalization;
using OutlierPipeline.Models;
using Spectre.Console;

namespace OutlierPipeline.Cli;

/// <summary><c>outlier models</c>: the packages of a directory, or one card in full.</summary>
internal static class ModelsCommand
{
    public static Command Build()
    {
        var path = new Argument<string>("path")
        {
            DefaultValueFactory = _ => "models",
            Description = "A directory of packages, or one package"
        };
        var command = new Command("models", "List model packages with their cards") { path };
        command.SetAction((options, _) => CommandRunner.RunAsync(() => Task.FromResult(List(options.GetRequiredValue(path)))));
        return command;
    }

    private static int List(string path)
    {
        if (!Directory.Exists(path)) throw new CommandException($"{path}: no such directory of model packages");
        if (File.Exists(Path.Combine(path, "model.json"))) return WithoutScores(path) is { } other
            ? ShowOther(other)
            : Show(ModelPackage.Load(path));
        string[] packages = [.. Directory.EnumerateDirectories(path).Where(directory => File.Exists(Path.Combine(directory, "model.json")))
            .Order(StringComparer.Ordinal)];
        if (packages.Length == 0)
            throw new CommandException($"{path}: no model packages in it (a package is a directory with a model.json)");
        var table = new Table().AddColumns("package", "version", "architecture", "input", "code", "trained on", "calibrated on",
            "own cameras", "what it knows");
        int refused = 0;
        foreach (string directory in packages)
        {
            try
            {
                var other = WithoutScores(directory);
                var package = other is null ? ModelPackage.Load(directory) : null;
                var card = other ?? package!.Card;
                table.AddRow(new[] { directory, card.Version, card.Network.Architecture, card.Network.Size.ToString(),
                    Text(card.Network.Latent), $"{card.Training.Footage.Frames} frames",
                    package is null ? Only(card) : $"{card.Calibration.Frames} frames{Origin(package.Default.Calibration)}",
                    Text(card.Cameras?.Count ?? 0), card.Description }.Select(Markup.Escape).ToArray());
            }
            catch (ModelPackageException e)
            {
                refused++;
                Console.Error.WriteLine(e.Message);
            }
        }
        AnsiConsole.Write(table);
        return refused == 0 ? 0 : 1;
    }

    private static int Show(ModelPackage package)
    {
        var card = package.Card;
        var grid = Described(card);
        Row(grid, "scores", string.Join(", ", card.Scores));
        if (card.Network.DimensionNames is { } names)
            Row(grid, "dimensions", string.Join(", ", names.OrderBy(name => name.Key).Select(name => $"{Text(name.Key)} {name.Value}")));
        if (package.Causes is { } causes) Row(grid, "causes", string.Join(", ", causes.Causes.Distinct()));
        Row(grid, "calibrated on",
            $"{card.Calibration.Frames} frames{Origin(package.Default.Calibration)}: {card.Calibration.Source}");
        if (card.CalibrationCommand is { } command) Row(grid, "by", command);
        if (card.Mask is not null) Row(grid, "mask", $"{package.Default.Mask!.Share:P0} of the picture counts");
        foreach (var (camera, own) in card.Cameras ?? new Dictionary<string, CameraCard>())
            Row(grid, $"camera {camera}",
                $"{own.Footage.Frames} frames{Origin(package.For(camera).Calibration)}{(own.Mask is null ? "" : ", mask")}: "
                + own.Footage.Source);
        foreach (var (tag, own) in card.Slices ?? new Dictionary<string, CameraCard>())
            Row(grid, $"slice {tag}", $"{own.Footage.Frames} frames: {own.Footage.Source}");
        Measured(grid, card);
        Row(grid, "digest", package.Digest);
        AnsiConsole.Write(grid);
        return 0;
    }

    /// <summary>The card of a package that only draws or only translates, checked with its graphs; null for one that scores.</summary>
    private static ModelCard? WithoutScores(string path)
    {
        var card = ModelPackage.ReadCard(path);
        return card.Network.OnlyDraws ? ModelPackage.ReadDecoder(path).Card
            : card.Network.Translation is null ? null
            : Ways(card).Select(graph => ModelPackage.ReadTranslator(path, graph).Card).LastOrDefault()
                ?? ModelPackage.ReadTranslator(path, TranslationCard.ToMap).Card;
    }

    private static string[] Ways(ModelCard card) =>
        [.. new[] { TranslationCard.ToMap, TranslationCard.ToPicture }.Where(card.Files.ContainsKey)];

    private static string Only(ModelCard card) => card.Network.OnlyDraws ? "draws only" : "translates only";

    private static int ShowOther(ModelCard card)
    {
        var grid = Described(card);
        if (card.Network.Translation is { } maps)
        {
            Row(grid, "scores", "none: it translates (outlier translate)");
            Row(grid, "ways", string.Join(", ", Ways(card).Select(graph => graph == TranslationCard.ToMap
                ? $"pictures of {card.Network.Size} to maps" : $"maps to pictures of {maps.PictureSize}")));
            Row(grid, "classes", string.Join(", ", maps.Classes.Select((one, k) =>
                $"{k} {one.Name}{(k == maps.Void ? " (not counted)" : "")}")));
        }
        else
        {
            Row(grid, "scores", "none: it draws pictures (outlier sample)");
        }
        Measured(grid, card);
        AnsiConsole.Write(grid);
        return 0;
    }

    private static Grid Described(ModelCard card)
    {
        var grid = new Grid().AddColumn().AddColumn();
        Row(grid, "name", $"{card.Name} {card.Version}");
        Row(grid, "description", card.Description);
        Row(grid, "licence", card.Licence);
        Row(grid, "network", string.Create(CultureInfo.InvariantCulture, $"{card.Network.Architecture}, {card.Network.Size}, code of " +
            $"{card.Network.Latent}, {card.Network.Parameters:N0} parameters, {card.Network.FlopsPerFrame / 1e6:0} MFLOP a frame"));
        Row(grid, "paper", card.Network.Paper);
        if (card.Network.Backbone is { } backbone) Row(grid, "backbone", $"{backbone.Name}; licence {backbone.Licence}; {backbone.Digest}");
        Row(grid, "trained on", $"{card.Training.Footage.Frames} frames: {card.Training.Footage.Source}");
        Row(grid, "by", string.Create(CultureInfo.InvariantCulture,
            $"{card.Training.Command} ({card.Training.Epochs} epochs, {card.Training.Seconds:0} s on {card.Training.Device})"));
        return grid;
    }

    private static void Measured(Grid grid, ModelCard card)
    {
        foreach (var (name, value) in card.Quality) Row(grid, name, value.ToString(CultureInfo.InvariantCulture));
    }

    private static void Row(Grid grid, string name, string value) => grid.AddRow(Markup.Escape(name), Markup.Escape(value));

    /// <summary>Whether training footage calibrated the level, or drives of the cameras' own.</summary>
    private static string Origin(Calibration calibration) => calibration.Origin switch
    {
        null => "",
        "bootstrap" => ", bootstrap",
        var origin => $", {origin} of {Text(calibration.DeploymentDrives ?? 0)} drives",
    };

    private static string Text(int value) => value.ToString(CultureInfo.InvariantCulture);
}
