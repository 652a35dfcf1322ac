using OutlierPipeline.Frames;
using OutlierPipeline.Models;
using OutlierPipeline.Training.Onnx;

namespace OutlierPipeline.Training.Features;

/// <summary>One output of a backbone that is read.</summary>
/// <param name="Output">Its name in the backbone's file.</param>
/// <param name="Channels">Values of a place.</param>
/// <param name="Stride">Pixels from one place to the next.</param>
public sealed record BackboneStage(string Output, int Channels, int Stride);

/// <summary>
/// A network that somebody else trained on other pictures, frozen: what its first stages say of a place is what is modelled, instead of
/// pixels. The part of its graph
/// that is read travels within the package.
/// </summary>
public sealed class Backbone
{
    /// <summary>Weights of more values than this are kept in half precision, and computed with as they were kept.</summary>
    private const int SmallWeight = 1024;

    private readonly BackboneGraph _graph;

    private Backbone(BackboneGraph graph, IReadOnlyList<BackboneStage> stages, float[] mean, float[] deviation)
    {
        _graph = graph;
        Stages = stages;
        Mean = mean;
        Deviation = deviation;
    }

    /// <summary>Name, licence and digest, for the model card.</summary>
    public required BackboneCard Card { get; init; }

    public IReadOnlyList<BackboneStage> Stages { get; }

    /// <summary>Values of a cell: those of all stages.</summary>
    public int Channels => Stages.Sum(stage => stage.Channels);

    /// <summary>What is taken from red, green and blue before they are divided by <see cref="Deviation"/>.</summary>
    public float[] Mean { get; }

    /// <inheritdoc cref="Mean"/>
    public float[] Deviation { get; }

    /// <summary>Weights of the part that is read.</summary>
    public long Parameters => _graph.Weights.Values.Sum(weight => (long)weight.Values.Length);

    /// <summary>ResNet18 as ML.NET ships it, cut behind its first stages.</summary>
    /// <param name="stages">1 to 4.</param>
    /// <exception cref="TrainingException">The file is missing, or another one.</exception>
    /// <remarks>He et al., Deep Residual Learning for Image Recognition, CVPR 2016.</remarks>
    public static Backbone ResNet18(int stages = 2)
    {
        const string Digest = "sha256:e2552f19db2dfdb01b3669537b6a0f1b44da38d18279535492ed5dfc2ef1ff8f";
        BackboneStage[] all = [new("ReLU283_Output_0", 64, 4), new("ReLU315_Output_0", 128, 8), new("ReLU347_Output_0", 256, 16),
            new("ReLU393_Output_0", 512, 32)];
        if (stages < 1 || stages > all.Length) throw new TrainingException($"--stages {stages}: expected 1 to {all.Length}");
        byte[] file = Read(Path.Combine(AppContext.BaseDirectory, "backbones", "ResNet18.onnx"));
        if (ModelPackage.DigestOf(file) is var found && found != Digest)
            throw new TrainingException($"backbones/ResNet18.onnx is {found}, expected {Digest}: build again");
        var graph = BackboneGraph.Cut(file, [.. all.Take(stages).Select(stage => stage.Output)]);
        // It was trained on blue, green and red.
        graph.ReverseColours();
        graph.Halve(SmallWeight);
        return new Backbone(graph, [.. all.Take(stages)], [124, 117, 104], [1, 1, 1])
        {
            Card = new BackboneCard
            {
                Name = $"ResNet18, stages 1 to {stages} (Microsoft.ML.DnnImageFeaturizer.ResNet18 0.23.1)",
                Licence = "MIT",
                Digest = Digest
            },
        };
    }

    /// <summary>A backbone of the user's own: one input of RGB planes, and outputs of planes that are not negative.</summary>
    /// <param name="outputs">Names of the outputs to read, or of values inside the graph.</param>
    /// <param name="licence">For the model card.</param>
    /// <exception cref="TrainingException">The file is missing or no such graph.</exception>
    public static Backbone Load(string file, string[] outputs, FrameSize size, string licence)
    {
        byte[] content = Read(file);
        var graph = BackboneGraph.Cut(content, outputs);
        graph.Halve(SmallWeight);
        // The normalisation that nearly all networks trained on ImageNet have.
        float[] mean = [123.675f, 116.28f, 103.53f];
        float[] deviation = [58.395f, 57.12f, 57.375f];
        var shapes = FeatureRunner.ShapesOf(graph, outputs, size, file);
        var stages = outputs.Select((output, k) =>
            new BackboneStage(output, shapes[k].Channels, Stride(output, shapes[k].Height, shapes[k].Width))).ToArray();
        return new Backbone(graph, stages, mean, deviation)
        {
            Card = new BackboneCard
            {
                Name = Path.GetFileName(file),
                Licence = licence,
                Digest = ModelPackage.DigestOf(content)
            }
        };

        int Stride(string output, int height, int width)
        {
            foreach (int stride in new[] { 1, 2, 4, 8, 16, 32 })
            {
                if ((size.Height + stride - 1) / stride == height && (size.Width + stride - 1) / stride == width) return stride;
            }
            throw new TrainingException($"--backbone {file}: of pictures of {size}, {output} has {height}×{width} places; expected a " +
                $"place every 1, 2, 4, 8, 16 or 32 pixels");
        }
    }

    /// <summary>Writes the backbone into a graph.</summary>
    /// <param name="pixels">Grey levels, <c>[N, H, W, 3]</c> float32.</param>
    /// <returns>What it says of each cell: the square roots of all stages' values, <c>[N·h·w, C]</c>.</returns>
    public string Write(OnnxOps ops, string pixels, FrameSize size)
    {
        var centred = ops.Subtract(pixels, ops.Constant(Mean, 1, 1, 1, 3));
        if (Deviation.Any(value => value != 1)) centred = ops.Divide(centred, ops.Constant(Deviation, 1, 1, 1, 3));
        string[] outputs = ops.Splice(_graph, ops.Transpose(centred, 0, 3, 1, 2), [.. Stages.Select(stage => stage.Output)]);
        var (rows, columns) = (size.Height / FrameMask.CellSide, size.Width / FrameMask.CellSide);
        string[] cells = [.. Stages.Select((stage, k) => ops.ToRows(OnGrid(outputs[k], stage.Stride), stage.Channels))];
        return ops.Sqrt(ops.Clip(cells.Length == 1 ? cells[0] : ops.Concat(cells), 0, float.MaxValue));

        string OnGrid(string planes, int stride) =>
            stride < FrameMask.CellSide ? ops.AveragePool(planes, FrameMask.CellSide / stride)
            : stride > FrameMask.CellSide ? ops.Enlarge(planes, stride / FrameMask.CellSide, rows, columns)
            : planes;
    }

    /// <summary>Writes the backbone into a graph.</summary>
    /// <param name="pixels">Grey levels, <c>[N, H, W, 3]</c> float32.</param>
    /// <returns>The square roots of each stage's values, <c>[N, C, H/stride, W/stride]</c>, sides rounded up.</returns>
    internal string[] WriteStages(OnnxOps ops, string pixels)
    {
        var centred = ops.Divide(ops.Subtract(pixels, ops.Constant(Mean, 1, 1, 1, 3)), ops.Constant(Deviation, 1, 1, 1, 3));
        string[] outputs = ops.Splice(_graph, ops.Transpose(centred, 0, 3, 1, 2), [.. Stages.Select(stage => stage.Output)]);
        return [.. outputs.Select(planes => ops.Sqrt(ops.Clip(planes, 0, float.MaxValue)))];
    }

    /// <summary>Writes the backbone into a graph, and the mean of its last stage over the picture, <c>[N, C, 1, 1]</c>.</summary>
    /// <inheritdoc cref="Write"/>
    internal string WritePooled(OnnxOps ops, string pixels)
    {
        var centred = ops.Divide(ops.Subtract(pixels, ops.Constant(Mean, 1, 1, 1, 3)), ops.Constant(Deviation, 1, 1, 1, 3));
        return ops.GlobalAveragePool(ops.Splice(_graph, ops.Transpose(centred, 0, 3, 1, 2), [Stages[^1].Output])[0]);
    }

    /// <summary>Floating-point operations of the convolutions, for one frame.</summary>
    public long Flops(FrameSize size) => _graph.Flops(size);

    private static byte[] Read(string file)
    {
        try
        {
            return File.ReadAllBytes(file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new TrainingException($"{file}: the backbone cannot be read: {e.Message}", e);
        }
    }
}
