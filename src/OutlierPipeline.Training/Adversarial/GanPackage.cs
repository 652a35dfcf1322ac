using OutlierPipeline.Evaluation;
using OutlierPipeline.Footage;
using OutlierPipeline.Frames;
using OutlierPipeline.Inference;
using OutlierPipeline.Models;
using OutlierPipeline.Training.Networks;
using OutlierPipeline.Training.Onnx;

namespace OutlierPipeline.Training.Adversarial;

/// <summary>
/// Makes a package of a trained generator: the card, <c>decoder.onnx</c>, the losses of each epoch and previews. It scores nothing.
/// </summary>
internal sealed class GanPackage(PictureGenerator generator, GanTrainer trainer, TrainingSettings settings)
{
    private const int Pictures = 24;
    private const int Columns = 6;

    /// <summary>The bytes of <c>decoder.onnx</c>: <c>latent</c> <c>[N, Z]</c> to <c>image</c> uint8 <c>[N, H, W, 3]</c>.</summary>
    public static byte[] WriteDecoder(PictureGenerator generator, IReadOnlyDictionary<string, (float[] Values, long[] Shape)> weights)
    {
        var ops = new OnnxOps(weights);
        var size = generator.Size;
        var planes = generator.Draw(ops, ops.Input("latent", OnnxOps.FloatType, generator.Latent));
        var levels = ops.Round(ops.Multiply(ops.Transpose(planes, 0, 2, 3, 1), ops.Constant(255)));
        ops.Output("image", ops.Cast(levels, OnnxOps.ByteType), OnnxOps.ByteType, size.Height, size.Width, 3);
        return ops.ToModel(new Dictionary<string, string>());
    }

    /// <summary>
    /// The bytes of <c>discriminator.onnx</c>: <c>image</c> uint8 <c>[N, H, W, 3]</c> to <c>scores</c> <c>[N, 1]</c>, the verdict with its
    /// sign turned: higher for what looks drawn.
    /// </summary>
    public static byte[] WriteDiscriminator(FrameSize size, IReadOnlyDictionary<string, (float[] Values, long[] Shape)> weights)
    {
        var ops = new OnnxOps(weights);
        string image = ops.Input("image", OnnxOps.ByteType, size.Height, size.Width, 3);
        string planes = ops.ToPlanes(ops.Divide(ops.ToFloat(image), ops.Constant(255)), 3, size.Height, size.Width);
        var (_, verdict) = new Critic(size).Judge(ops, planes);
        ops.Output("scores", ops.Subtract(ops.Constant(0), verdict), OnnxOps.FloatType, 1);
        return ops.ToModel(new Dictionary<string, string>());
    }

    /// <param name="framesPerSecond">That it trained.</param>
    public ModelCard Write(string directory, PackageBuilder.Description description, DecodedFootage footage, double framesPerSecond,
        TimeSpan time)
    {
        byte[] decoder = WriteDecoder(generator, trainer.Weights);
        var (discriminator, drawn) = trainer.Losses[^1];
        var card = new ModelCard
        {
            Name = Path.GetFileName(directory.TrimEnd(Path.DirectorySeparatorChar)),
            Version = description.Version,
            Description = description.Text,
            Licence = description.Licence,
            Network = new NetworkCard
            {
                Architecture = settings.Architecture.Name,
                Paper = settings.Architecture.Paper,
                OnlyDraws = true,
                Height = generator.Size.Height,
                Width = generator.Size.Width,
                Latent = generator.Latent,
                ErrorMapHeight = 0,
                ErrorMapWidth = 0,
                Parameters = generator.Weights().Sum(weight => weight.Shape.Aggregate(1L, (product, side) => product * side)),
                FlopsPerFrame = generator.FlopsPerPicture(),
                HyperParameters = new Dictionary<string, double>
                {
                    ["batch"] = settings.Batch,
                    ["learningRate"] = settings.LearningRate,
                },
            },
            Scores = [],
            Training = new TrainingCard
            {
                Command = description.Command,
                Seed = settings.Seed,
                Epochs = trainer.Epochs,
                Device = description.Device,
                Seconds = Math.Round(time.TotalSeconds),
                Footage = new FootageCard { Source = description.Source, Frames = footage.Count, Digest = footage.Digest },
            },
            Calibration = new FootageCard { Source = "none: the package scores nothing", Frames = 0, Digest = "" },
            Quality = new Dictionary<string, double>
            {
                ["discriminatorLoss"] = Math.Round(discriminator, 4),
                ["generatorLoss"] = Math.Round(drawn, 4),
                ["diversity"] = Math.Round(trainer.Diversity, 3),
                ["trainingFramesPerSecond"] = Math.Round(framesPerSecond),
            },
            Files = new Dictionary<string, string>(),
        };
        using var drawer = new LatentDecoder(card.Network, decoder);
        return ModelPackageWriter.WriteDrawing(directory, card, new Dictionary<string, byte[]>
        {
            ["decoder.onnx"] = decoder,
            [Discriminator.FileName] = WriteDiscriminator(generator.Size, trainer.CriticWeights),
            ["losses.csv"] = LossReport.ToCsv(trainer.Losses),
            ["preview/losses.svg"] = LossReport.ToSvg(trainer.Losses),
            [KnownFootage.FileName] = new KnownFootage
            {
                Training = KnownFootage.SetOf(footage),
                Calibration = KnownFootage.SetOf(footage.Where(_ => false)),
            }.ToJson(),
            ["preview/samples.png"] = PictureGrid.Encode(Gallery.Sample(drawer, Pictures, settings.Seed), generator.Size, Columns),
            ["preview/interpolations.png"] = PictureGrid.Encode(Gallery.Interpolate(drawer, Pictures / Columns, Columns, settings.Seed),
                generator.Size, Columns),
        });
    }
}
