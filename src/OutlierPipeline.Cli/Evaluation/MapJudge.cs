using System.Globalization;
using OutlierPipeline.Evaluation;
using OutlierPipeline.Footage;
using OutlierPipeline.Frames;
using OutlierPipeline.Inference;
using OutlierPipeline.Models;
using Spectre.Console;

namespace OutlierPipeline.Cli.Evaluation;

/// <summary><c>outlier evaluate --labels</c>: how well the maps of a package that translates agree with people's.</summary>
internal static class MapJudge
{
    /// <param name="labels">Directories of maps; none for those beside the frames.</param>
    public static async Task<int> RunAsync(string model, string[] frames, string[] labels, CancellationToken cancellation)
    {
        using var translator = new Translator(model, TranslationCard.ToMap);
        var files = new LabelFiles(frames, labels);
        using var footage = await ToolFootage.LoadAsync("footage", frames, translator.Size, camera: null, cancellation);
        var (classes, maps) = (translator.Maps.Classes, translator.Maps);
        var quality = new TranslationQuality(classes.Count, maps.Void);
        foreach (var drive in footage.Drives)
        {
            for (int i = drive.First; i < drive.First + drive.Count; i++)
            {
                cancellation.ThrowIfCancellationRequested();
                string name = footage.NameOf(i);
                if (!File.Exists(name)) throw new FootageException($"{name}: label maps go with directories of pictures alone");
                var truth = LabelFiles.Read(files.Of(name, drive.Name), await File.ReadAllBytesAsync(name, cancellation), name, classes);
                var (map, _) = translator.ToMap(footage[i]);
                quality.Add(truth.Indices, LabelMap.Restore(map, translator.Size, truth.Height, truth.Width).Indices);
            }
        }
        if (quality.Pixels == 0) throw new CommandException("no pixel of the label maps counts: all are void");
        Show(quality, maps);
        var known = KnownFootage.Parse(ModelPackage.ReadFile(model, KnownFootage.FileName));
        foreach (var drive in footage.Drives)
        {
            string acquaintance = EvaluateCommand.Meaning(Evaluator.Words(known.With(footage, drive)));
            Console.WriteLine($"{KnownFootage.NameOf(footage, drive)}: {acquaintance}");
        }
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{footage.Count} frames by {translator.Card.Name}: mean IoU {quality.MeanOverlap():0.000} over classes above " +
            $"{TranslationQuality.MinShare:P1} of the pixels, {quality.Accuracy:0.000} of the pixels right"));
        return 0;
    }

    private static void Show(TranslationQuality quality, TranslationCard maps)
    {
        var table = new Table().AddColumns("class", "share of pixels", "IoU", "accuracy", "in the mean");
        for (int k = 0; k < maps.Classes.Count; k++)
        {
            if (k == maps.Void) continue;
            table.AddRow(Markup.Escape(maps.Classes[k].Name), Text($"{quality.Share(k):P2}"), Number(quality.Overlap(k)),
                Number(quality.Recall(k)), quality.Share(k) > TranslationQuality.MinShare ? "yes" : "no");
        }
        AnsiConsole.Write(table);
    }

    private static string Number(double value) =>
        double.IsNaN(value) ? "-" : value.ToString("0.000", CultureInfo.InvariantCulture);

    private static string Text(FormattableString text) => FormattableString.Invariant(text);
}
