using OutlierPipeline.Evaluation;
using OutlierPipeline.Footage;
using OutlierPipeline.Frames;
using OutlierPipeline.Models;
using OutlierPipeline.Training.Adversarial;
using OutlierPipeline.Training.Features;
using OutlierPipeline.Training.Networks;
using OutlierPipeline.Training.Onnx;

namespace OutlierPipeline.Training.Paired;

/// <summary>One trained direction.</summary>
/// <param name="Prefix">Of its figures' names.</param>
/// <param name="Measured">What was measured after the last epoch.</param>
internal sealed record TrainedDirection(string Prefix, byte[] Graph, IReadOnlyList<(double Discriminator, double Generator)> Losses,
    (string Name, double Value) Measured, long Parameters, long Flops, FrameSize Size, double FramesPerSecond)
{
    public IReadOnlyDictionary<string, (float[] Values, long[] Shape)> Weights { get; init; } =
        new Dictionary<string, (float[] Values, long[] Shape)>();
}

/// <summary>
/// Makes a package of trained directions: the card with classes and colours, a graph and the losses of each. It scores nothing.
/// </summary>
internal static class PairPackage
{
    /// <summary>The bytes of <see cref="TranslationCard.ToMap"/>: <c>image</c> uint8 <c>[N, H, W, 3]</c> to <c>map</c> uint8
    /// <c>[N, H, W]</c> and <c>probability</c> float32, the same shape.</summary>
    public static byte[] WriteToMap(Backbone backbone, MapNetwork network, int classes,
        IReadOnlyDictionary<string, (float[] Values, long[] Shape)> weights)
    {
        var ops = new OnnxOps(weights);
        var (height, width) = (network.Size.Height, network.Size.Width);
        string[] stages = backbone.WriteStages(ops, ops.ToFloat(ops.Input("image", OnnxOps.ByteType, height, width, 3)));
        string odds = ops.Smooth(network.Classify(ops, MapNetwork.Standardise(ops, stages)), MapNetwork.Side);
        string rows = ops.ToRows(odds, classes);
        string above = ops.SumLast(ops.Exp(ops.Subtract(rows, ops.MaxLast(rows))));
        ops.Output("map", ops.Cast(ops.Reshape(ops.LargestOf(rows), height, width), OnnxOps.ByteType), OnnxOps.ByteType, height, width);
        ops.Output("probability", ops.Reshape(ops.Divide(ops.Constant(1), above), height, width), OnnxOps.FloatType, height, width);
        return ops.ToModel(new Dictionary<string, string>());
    }

    /// <summary>The bytes of <see cref="TranslationCard.ToPicture"/>: <c>map</c> uint8 <c>[N, H, W]</c> and <c>noise</c> float32
    /// <c>[N, 16]</c> to <c>image</c> uint8 <c>[N, H, W, 3]</c>.</summary>
    public static byte[] WriteToPicture(MapPainter painter, int classes,
        IReadOnlyDictionary<string, (float[] Values, long[] Shape)> weights)
    {
        var ops = new OnnxOps(weights);
        var (height, width) = (painter.Size.Height, painter.Size.Width);
        string map = ops.Reshape(ops.ToFloat(ops.Input("map", OnnxOps.ByteType, height, width)), 1, height, width);
        string planes = ops.AreEqual(map, ops.Constant([.. Enumerable.Range(0, classes).Select(k => (float)k)], 1, classes, 1, 1));
        string drawn = MapPainter.Draw(ops, planes, ops.Input("noise", OnnxOps.FloatType, MapPainter.Noise));
        string levels = ops.Round(ops.Multiply(ops.Transpose(drawn, 0, 2, 3, 1), ops.Constant(255)));
        ops.Output("image", ops.Cast(levels, OnnxOps.ByteType), OnnxOps.ByteType, height, width, 3);
        return ops.ToModel(new Dictionary<string, string>());
    }

    /// <param name="toMap">Null where it was not trained, as <paramref name="toPicture"/>.</param>
    /// <param name="second">What says what should have been there; null where there are no maps.</param>
    public static ModelCard Write(string directory, PackageBuilder.Description description, TrainingSettings settings,
        LabelClasses classes, DecodedFootage footage, BackboneCard? backbone, TrainedDirection? toMap, TrainedDirection? toPicture,
        (byte[] Graph, string[] Scores)? second, TimeSpan time)
    {
        var directions = new[] { toMap, toPicture }.OfType<TrainedDirection>().ToArray();
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
                Backbone = backbone,
                Translation = new TranslationCard
                {
                    Classes = classes.Classes,
                    Void = classes.Void,
                    PictureHeight = toPicture?.Size.Height ?? 0,
                    PictureWidth = toPicture?.Size.Width ?? 0,
                    Noise = toPicture is null ? 0 : MapPainter.Noise,
                    Second = second?.Scores,
                },
                Height = directions[0].Size.Height,
                Width = directions[0].Size.Width,
                Latent = 0,
                ErrorMapHeight = 0,
                ErrorMapWidth = 0,
                Parameters = directions.Sum(direction => direction.Parameters),
                FlopsPerFrame = directions[0].Flops,
                HyperParameters = new Dictionary<string, double>
                {
                    ["batch"] = settings.Batch,
                    ["learningRate"] = settings.LearningRate,
                    ["adversarialWeight"] = settings.AdversarialWeight,
                },
            },
            Scores = [],
            Training = new TrainingCard
            {
                Command = description.Command,
                Seed = settings.Seed,
                Epochs = directions.Max(direction => direction.Losses.Count),
                Device = description.Device,
                Seconds = Math.Round(time.TotalSeconds),
                Footage = new FootageCard { Source = description.Source, Frames = footage.Count, Digest = footage.Digest },
            },
            Calibration = new FootageCard { Source = "none: the package scores nothing", Frames = 0, Digest = "" },
            Quality = directions.SelectMany(Figures).ToDictionary(),
            Files = new Dictionary<string, string>(),
        };
        var files = new Dictionary<string, byte[]>
        {
            [KnownFootage.FileName] = new KnownFootage
            {
                Training = KnownFootage.SetOf(footage),
                Calibration = KnownFootage.SetOf(footage.Where(_ => false)),
            }.ToJson(),
        };
        if (toMap is not null) Add("to-map", toMap);
        if (toPicture is not null) Add("to-picture", toPicture);
        if (second is not null) files[SecondGraph.FileName] = second.Value.Graph;
        return ModelPackageWriter.WriteTranslating(directory, card, files);

        void Add(string name, TrainedDirection direction)
        {
            files[name + ".onnx"] = direction.Graph;
            files[name + "-losses.csv"] = LossReport.ToCsv(direction.Losses);
            files[$"preview/{name}-losses.svg"] = LossReport.ToSvg(direction.Losses);
        }
    }

    private static Dictionary<string, double> Figures(TrainedDirection direction) => new()
    {
        [direction.Prefix + "DiscriminatorLoss"] = Math.Round(direction.Losses[^1].Discriminator, 4),
        [direction.Prefix + "GeneratorLoss"] = Math.Round(direction.Losses[^1].Generator, 4),
        [direction.Measured.Name] = Math.Round(direction.Measured.Value, 3),
        [direction.Prefix + "TrainingFramesPerSecond"] = Math.Round(direction.FramesPerSecond, 1),
    };
}
