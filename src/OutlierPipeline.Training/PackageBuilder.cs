using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using OutlierPipeline.Detection;
using OutlierPipeline.Evaluation;
using OutlierPipeline.Footage;
using OutlierPipeline.Frames;
using OutlierPipeline.Inference;
using OutlierPipeline.Models;
using OutlierPipeline.Training.Adversarial;
using OutlierPipeline.Training.Features;

namespace OutlierPipeline.Training;

/// <summary>
/// Makes a model package of a trained network: graphs, calibration, card and previews, all computed by ONNX Runtime on what was exported.
/// </summary>
internal sealed class PackageBuilder(TrainingSettings settings, IModelExporter exporter, FrameMask? mask)
{
    /// <summary>Of each epoch of an adversarial training; empty for another.</summary>
    public IReadOnlyList<(double Discriminator, double Generator)> Losses { get; init; } = [];

    private const int Pictures = 24;
    private const int Columns = 6;

    public sealed record Description(string Version, string Text, string Licence, string Source, string Command, string Device);

    /// <summary>The three blocks of the footage; the test block may be empty.</summary>
    public sealed record Blocks(DecodedFootage Training, DecodedFootage Calibration, DecodedFootage Test);

    /// <exception cref="ModelPackageException">What was written does not load: a fault of the exporter.</exception>
    /// <exception cref="FootageException">Too few frames calibrate.</exception>
    public ModelPackage Write(string directory, Description description, Blocks footage, float[][] crossFitted, LeftOut? leftOut,
        double? footageRate, EpochFigures figures,
        int epochs, double framesPerSecond, TimeSpan time, CancellationToken cancellation)
    {
        string name = Path.GetFileName(directory.TrimEnd(Path.DirectorySeparatorChar));
        byte[] model = exporter.WriteModel(name, description.Version, description.Source);
        byte[] decoder = exporter.WriteDecoder();
        var card = Card(name, description, footage, epochs, time);
        using var engine = new InferenceEngine(ModelPackage.Uncalibrated(card, model, mask),
            new InferenceOptions { Accelerator = Accelerator.Cpu }, NullLogger.Instance);
        using var scorer = new FootageScorer(engine);
        string[] watched = [.. exporter.Scores.Where(score => score.IsWatched).Select(score => score.Name)];
        var calibration = scorer.Calibrate(footage.Calibration, mask,
            [.. exporter.Scores.Where(score => score.IsCombined).Select(score => score.Name)], watched, crossFitted, footageRate,
            cancellation);
        if (leftOut is not null)
        {
            calibration = calibration.WithLeftOut(leftOut.Rows, leftOut.Stretches) with
            {
                Onset = OnsetFit.Fit(calibration, watched, leftOut.Rows, leftOut.Stretches,
                    FootageScorer.RateOf(footage.Training, footageRate), leftOut.IsByDrive ? OnsetCalibration.OfDrives
                    : OnsetCalibration.OfHalves) ?? calibration.Onset
            };
        }
        var files = new Dictionary<string, byte[]>
        {
            ["model.onnx"] = model,
            ["decoder.onnx"] = decoder,
            ["calibration.json"] = calibration.ToJson(),
            [KnownFootage.FileName] = new KnownFootage
            {
                Training = KnownFootage.SetOf(footage.Training),
                Calibration = KnownFootage.SetOf(footage.Calibration),
            }.ToJson(),
        };
        if (Losses.Count > 0)
            (files["losses.csv"], files["preview/losses.svg"]) = (LossReport.ToCsv(Losses), LossReport.ToSvg(Losses));
        if (mask is not null) files["mask.png"] = mask.ToPng();
        if (exporter.Causes is { } causes) files[CauseModel.FileName] = causes.ToJson();
        double sharpness;
        using (var drawer = new LatentDecoder(card.Network, decoder)) sharpness = Draw(files, engine, drawer, footage.Calibration);
        var quality = new Dictionary<string, double>
        {
            ["trainingMeanSquaredError"] = Math.Round(figures.TrainingError, 6),
            ["trainingKl"] = Math.Round(figures.TrainingKl, 2),
            ["validationMeanSquaredError"] = Math.Round(figures.ValidationError, 6),
            ["validationKl"] = Math.Round(figures.ValidationKl, 2),
            ["previewSharpness"] = Math.Round(sharpness, 4),
            ["trainingFramesPerSecond"] = Math.Round(framesPerSecond),
            ["smallestPValue"] = Math.Round(calibration.SmallestPValue, 6),
        };
        if (LatentDiagnostics.Codes(engine, footage.Calibration, mask) is (var means, { } variances))
        {
            var information = LatentInformation.Measure(means, variances, settings.Seed);
            quality["codeMutualInformation"] = Math.Round(information.MutualInformation, 2);
            quality["codeTotalCorrelation"] = Math.Round(information.TotalCorrelation, 2);
            quality["codeDimensionKl"] = Math.Round(information.DimensionKl, 2);
            Console.WriteLine("KL a dimension of the code, in nats: " + string.Join(' ', information.KlPerDimension.Select(nats =>
                nats.ToString("0.0", CultureInfo.InvariantCulture))));
        }
        if (footage.Test.Count > 0) AddTest(quality, calibration, scorer.Score(footage.Test, mask, cancellation));
        return ModelPackageWriter.Write(directory, card with { Quality = quality }, files);
    }

    private ModelCard Card(string name, Description description, Blocks footage, int epochs, TimeSpan time)
    {
        return new ModelCard
        {
            Name = name,
            Version = description.Version,
            Description = description.Text,
            Licence = description.Licence,
            Mask = mask is null ? null : "mask.png",
            Network = exporter.Describe(settings),
            Scores = [.. exporter.Scores.Select(score => score.Name)],
            LocalScores = [.. exporter.Scores.Where(score => score.IsLocal).Select(score => score.Name)],
            Training = new TrainingCard
            {
                Command = description.Command,
                Seed = settings.Seed,
                Epochs = epochs,
                Device = description.Device,
                Seconds = Math.Round(time.TotalSeconds),
                Footage = new FootageCard
                {
                    Source = description.Source,
                    Frames = footage.Training.Count,
                    Digest = footage.Training.Digest
                },
            },
            Calibration = new FootageCard
            {
                Source = description.Source + " (calibration block)",
                Frames = footage.Calibration.Count,
                Digest = footage.Calibration.Digest
            },
            Quality = new Dictionary<string, double>(),
            Files = new Dictionary<string, string>(),
        };
    }

    /// <summary>False alarms on normal frames that neither trained nor calibrated.</summary>
    private static void AddTest(Dictionary<string, double> quality, Calibration calibration, float[][] rows)
    {
        quality["testFrames"] = rows.Length;
        foreach (double level in new[] { 0.1, 0.05, 0.01 })
            quality[FormattableString.Invariant($"testFalseAlarmRateAt{level}")] = Math.Round(rows.Count(row =>
                calibration.PValue(calibration.Combine(row)) <= level) / (double)rows.Length, 4);
    }

    /// <summary>Only the model's own drawings: none shows a frame of the footage, which may not be ours to give away.</summary>
    /// <returns>The sharpness of the redrawn frames, as a share of the frames' own.</returns>
    private double Draw(Dictionary<string, byte[]> files, InferenceEngine engine, LatentDecoder decoder, DecodedFootage footage)
    {
        var gallery = new Gallery(engine, decoder);
        byte[] frames = [.. Enumerable.Range(0, Pictures).SelectMany(i => footage[i * (footage.Count - 1) / (Pictures - 1)])];
        byte[] redrawn = gallery.Reconstruct(frames, mask);
        double sharpness = Sharpness.Of(redrawn, exporter.Size) / Math.Max(Sharpness.Of(frames, exporter.Size), 1e-9);
        files["preview/reconstructions.png"] = PictureGrid.Encode(redrawn, exporter.Size, Columns);
        if (settings.Architecture.IsVariational)
            files["preview/samples.png"] = PictureGrid.Encode(Gallery.Sample(decoder, Pictures, settings.Seed), exporter.Size, Columns);
        int[] widest = gallery.WidestDimensions(frames, mask);
        files["preview/traversal.png"] = PictureGrid.Encode(gallery.Traverse([], [.. widest.Take(Pictures / Columns)], Columns, mask),
            exporter.Size, Columns);
        for (int i = 0; i < Pictures; i++) PasteBox(frames.AsSpan(i * exporter.Size.Bytes, exporter.Size.Bytes));
        files["preview/error-map.png"] = PictureGrid.Encode(gallery.ErrorMaps(frames, mask), exporter.Size, Columns);
        return sharpness;
    }

    /// <summary>A box of an eighth of the height in the middle of the frame.</summary>
    private void PasteBox(Span<byte> frame)
    {
        int side = exporter.Size.Height / 8;
        for (int y = exporter.Size.Height / 2; y < exporter.Size.Height / 2 + side; y++)
        {
            for (int x = exporter.Size.Width / 2; x < exporter.Size.Width / 2 + side; x++)
                ((ReadOnlySpan<byte>)[210, 150, 60]).CopyTo(frame[((y * exporter.Size.Width + x) * 3)..]);
        }
    }
}
