using OutlierPipeline.Inference;
using OutlierPipeline.Training.Networks;

namespace OutlierPipeline.Training;

/// <summary>Writes a model package aside and puts it in its place when it is whole.</summary>
internal sealed class PackageWriter(string directory, PatchVae network, ModelExporter exporter)
{
    public sealed record Description(string Version, string Text, string Licence, string Source, string Command, int Seed, int Epochs, int Batch);

    /// <exception cref="ModelPackageException">What was written does not load: a fault of the exporter.</exception>
    public void Write(Description description, Footage training, Footage calibration, EpochLoss loss, TimeSpan time)
    {
        string name = Path.GetFileName(directory.TrimEnd(Path.DirectorySeparatorChar));
        string aside = directory.TrimEnd(Path.DirectorySeparatorChar) + ".writing";
        if (Directory.Exists(aside)) Directory.Delete(aside, recursive: true);
        Directory.CreateDirectory(Path.Combine(aside, "preview"));
        try
        {
            byte[] model = exporter.WriteModel(name, description.Version, description.Source);
            byte[] decoder = exporter.WriteDecoder();
            var fitted = exporter.Calibrate(model, calibration);
            byte[] json = fitted.ToJson();
            var (rows, columns) = exporter.ErrorMap;
            var card = new ModelCard
            {
                Name = name,
                Version = description.Version,
                Description = description.Text,
                Licence = description.Licence,
                Network = new NetworkCard
                {
                    Architecture = "vae",
                    Paper = PatchVae.Paper,
                    Height = network.Size.Height,
                    Width = network.Size.Width,
                    Latent = network.Latent,
                    ErrorMapHeight = rows,
                    ErrorMapWidth = columns,
                    Parameters = network.Weights().Sum(weight => weight.Shape.Aggregate(1L, (product, side) => product * side)),
                    FlopsPerFrame = network.FlopsPerFrame(),
                    HyperParameters = new Dictionary<string, double> { ["batch"] = description.Batch, ["learningRate"] = 1e-3, ["klWeight"] = 1 },
                },
                Scores = [.. exporter.Scores.Select(score => score.Name)],
                Training = new TrainingCard
                {
                    Command = description.Command,
                    Seed = description.Seed,
                    Epochs = description.Epochs,
                    Device = "cpu",
                    Seconds = Math.Round(time.TotalSeconds),
                    Footage = new FootageCard { Source = description.Source, Frames = training.Frames, Digest = training.Digest },
                },
                Calibration = new FootageCard { Source = description.Source + " (calibration block)", Frames = calibration.Frames, Digest = calibration.Digest },
                Quality = new Dictionary<string, double>
                {
                    ["trainingMeanSquaredError"] = Math.Round(loss.MeanSquaredError, 6),
                    ["trainingKl"] = Math.Round(loss.Kl, 2),
                    ["calibrationMedianNegativeLogLikelihood"] = Math.Round(fitted.Location[0], 4),
                    ["smallestPValue"] = Math.Round(1.0 / (fitted.Frames + 1), 6),
                },
                Files = new Dictionary<string, string>
                {
                    ["model.onnx"] = ModelPackage.DigestOf(model),
                    ["calibration.json"] = ModelPackage.DigestOf(json),
                    ["decoder.onnx"] = ModelPackage.DigestOf(decoder),
                },
            };
            File.WriteAllBytes(Path.Combine(aside, "model.onnx"), model);
            File.WriteAllBytes(Path.Combine(aside, "decoder.onnx"), decoder);
            File.WriteAllBytes(Path.Combine(aside, "calibration.json"), json);
            File.WriteAllBytes(Path.Combine(aside, "model.json"), card.ToJson());
            new Preview(network, model, decoder).Write(Path.Combine(aside, "preview"), calibration, description.Seed);
            _ = ModelPackage.Load(aside);
            if (Directory.Exists(directory)) Directory.Delete(directory, recursive: true);
            Directory.Move(aside, directory);
        }
        catch
        {
            Directory.Delete(aside, recursive: true);
            throw;
        }
    }
}
