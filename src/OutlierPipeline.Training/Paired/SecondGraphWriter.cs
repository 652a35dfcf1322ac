using Microsoft.ML.OnnxRuntime;
using OutlierPipeline.Footage;
using OutlierPipeline.Frames;
using OutlierPipeline.Models;
using OutlierPipeline.Training.Features;
using OutlierPipeline.Training.Networks;
using OutlierPipeline.Training.Onnx;

namespace OutlierPipeline.Training.Paired;

/// <summary>
/// Writes the graph that says what should have been there: the map of a frame, the picture drawn again of the map, how far both pictures
/// are apart for the backbone, and how unlike its class each cell is.
/// </summary>
/// <remarks>
/// Resynthesis: Lis, Nakka, Fua and Salzmann, Detecting the Unexpected via Image Resynthesis, ICCV 2019; the two pictures are compared by
/// a frozen network's values without the discrepancy network, which would need frames of obstacles.
/// </remarks>
/// <param name="painter">Null where pictures were not trained: then nothing is drawn again.</param>
internal sealed class SecondGraphWriter(Backbone backbone, MapNetwork network,
    IReadOnlyDictionary<string, (float[] Values, long[] Shape)> mapWeights, MapPainter? painter,
    IReadOnlyDictionary<string, (float[] Values, long[] Shape)>? pictureWeights, LabelClasses classes)
{
    /// <summary>The stage whose values the densities are of: its places are the cells, twice as far apart as the map network's.</summary>
    private const int Cells = 1;

    /// <summary>A score is the mean of the cells that are strangest; a thing of a twelfth of the picture's width has so many.</summary>
    private const int Strangest = 16;

    /// <summary>Classes with a smaller share of the training cells have no score of their own.</summary>
    private const double MinShare = 0.03;

    /// <summary>Cells that the fit looks at, of all frames together.</summary>
    private const int FitBudget = 150_000;

    /// <summary>Both networks have weights of the same names.</summary>
    private const string Picture = "picture/";

    private readonly int _classes = classes.Classes.Count;
    private readonly Dictionary<string, (float[] Values, long[] Shape)> _weights = Joined(mapWeights, pictureWeights);

    private int Rows => network.Stages[Cells].Rows;

    private int Columns => network.Stages[Cells].Columns;

    /// <summary>Fits the densities to the training frames, and writes the graph.</summary>
    /// <returns>Its bytes, and the names of its scores.</returns>
    public (byte[] Graph, string[] Scores) Write(DecodedFootage training, int threads, CancellationToken cancellation)
    {
        var fit = Fit(training, threads, cancellation);
        var ops = new OnnxOps(_weights);
        var seen = See(ops);
        int cells = Rows * Columns;
        string distances = Standardised(ops, ops.Concat([.. fit.Densities.Select(density => density.Distance(ops, seen.Features))]),
            fit.Distance, seen.Class);
        var scores = new List<(string Name, string Value)>();
        string? differences = null;
        if (seen.Difference is not null)
        {
            differences = Smoothed(ops, Standardised(ops, seen.Difference, fit.Difference, seen.Class));
            scores.Add((SecondGraph.Resynthesis, ops.TopMean(ops.Reshape(differences, cells), Strangest)));
        }
        string unlike = Smoothed(ops, distances);
        scores.Add((SecondGraph.Classes, ops.TopMean(ops.Reshape(unlike, cells), Strangest)));
        double[] shares = fit.Shares;
        foreach (int k in Enumerable.Range(0, _classes).Where(k => k != classes.Void && shares[k] >= MinShare)
            .OrderByDescending(k => shares[k]).Take(SecondGraph.MaxScores - scores.Count).ToArray())
            scores.Add((SecondGraph.Unlike(classes.Classes[k].Name), MeanOf(ops, distances, ops.Slice(seen.Class, k, 1), cells)));
        ops.Output("scores", ops.Concat([.. scores.Select(score => score.Value)]), OnnxOps.FloatType, scores.Count);
        ops.Output("error_map", ops.Reshape(differences ?? unlike, Rows, Columns), OnnxOps.FloatType, Rows, Columns);
        ops.Output("class_map", ops.Reshape(unlike, Rows, Columns), OnnxOps.FloatType, Rows, Columns);
        ops.Output("map", seen.Map, OnnxOps.ByteType, network.Size.Height, network.Size.Width);
        if (painter is not null)
            ops.Output("picture", ops.Cast(ops.Round(seen.Picture!), OnnxOps.ByteType), OnnxOps.ByteType, painter.Size.Height,
                painter.Size.Width, 3);
        string[] names = [.. scores.Select(score => score.Name)];
        return (ops.ToModel(new Dictionary<string, string> { ["scores"] = string.Join(',', names) }), names);
    }

    /// <param name="Features">The backbone's values, a row a cell.</param>
    /// <param name="Class">1 for the cell's class, a row a cell.</param>
    /// <param name="Difference">The logarithm of the difference of both pictures, a row a cell.</param>
    /// <param name="Map">Of the network's size.</param>
    /// <param name="Picture">Drawn again, <c>[N, H, W, 3]</c>, 0 to 255.</param>
    private sealed record Seen(string Features, string Class, string ClassIndex, string? Difference, string Map, string? Picture);

    private ClassFit Fit(DecodedFootage training, int threads, CancellationToken cancellation)
    {
        var ops = new OnnxOps(_weights);
        var seen = See(ops);
        int channels = network.Stages[Cells].Channels;
        ops.Output("features", seen.Features, OnnxOps.FloatType, channels);
        ops.Output("classes", seen.ClassIndex, OnnxOps.FloatType, 1);
        if (seen.Difference is not null) ops.Output("differences", seen.Difference, OnnxOps.FloatType, 1);
        using var session = FeatureRunner.Create(ops.ToModel(new Dictionary<string, string>()), threads, backbone.Card.Name);
        using var run = new RunOptions();
        string[] outputs = seen.Difference is null ? ["features", "classes"] : ["features", "classes", "differences"];
        var fit = new ClassFit(_classes, channels);
        int every = Math.Max(1, training.Count * Rows * Columns / FitBudget);
        for (int i = 0; i < training.Count; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            using var image = OrtValue.CreateTensorValueFromMemory(training[i], [1, network.Size.Height, network.Size.Width, 3]);
            using var found = session.Run(run, ["image"], [image], outputs);
            fit.Add(found[1].GetTensorDataAsSpan<float>(), found[0].GetTensorDataAsSpan<float>(),
                outputs.Length == 3 ? found[2].GetTensorDataAsSpan<float>() : [], every);
        }
        fit.End();
        return fit;
    }

    private Seen See(OnnxOps ops)
    {
        string planes = ops.Transpose(ops.ToFloat(ops.Pictures("image")), 0, 3, 1, 2);
        string[] stages = backbone.WriteStages(ops, ops.Transpose(ops.Fit(planes, network.Size), 0, 2, 3, 1));
        string odds = network.Classify(ops, MapNetwork.Standardise(ops, stages));
        string index = ops.Reshape(ops.ToFloat(ops.LargestOf(ops.ToRows(ops.AveragePool(odds, 2), _classes))), 1);
        string all = ops.LargestOf(ops.ToRows(ops.Smooth(odds, MapNetwork.Side), _classes));
        string map = ops.Cast(ops.Reshape(all, network.Size.Height, network.Size.Width), OnnxOps.ByteType);
        var (drawn, difference) = painter is null ? (null, null) : DrawAgain(ops, planes, odds);
        return new Seen(ops.ToRows(stages[Cells], network.Stages[Cells].Channels), OneHot(ops, index), index, difference, map, drawn);
    }

    private (string Drawn, string Difference) DrawAgain(OnnxOps ops, string planes, string odds)
    {
        var (height, width) = (painter!.Size.Height, painter.Size.Width);
        string index = ops.Reshape(ops.ToFloat(ops.LargestOf(ops.ToRows(ops.Fit(odds, painter.Size), _classes))), 1);
        string noise = ops.Constant(new float[MapPainter.Noise], 1, MapPainter.Noise);
        string planesOfMap = ops.ToPlanes(OneHot(ops, index), _classes, height, width);
        ops.Scope = Picture;
        string drawn = ops.Multiply(ops.Transpose(MapPainter.Draw(ops, planesOfMap, noise), 0, 2, 3, 1), ops.Constant(255));
        ops.Scope = "";
        // The first two stages: what is deeper sees more than a cell.
        var shallow = Backbone.ResNet18(stages: 2);
        string[] real = shallow.WriteStages(ops, ops.Transpose(ops.Fit(planes, painter.Size), 0, 2, 3, 1));
        string[] again = shallow.WriteStages(ops, drawn);
        string? sum = null;
        for (int k = 0; k < real.Length; k++)
        {
            string apart = ops.Multiply(ops.Subtract(real[k], again[k]), ops.Weight(MapNetwork.ScaleOf(k)));
            string mean = ops.Multiply(ops.SumLast(ops.Square(ops.ToRows(apart, network.Stages[k].Channels))),
                ops.Constant(1.0 / network.Stages[k].Channels));
            // Sides are multiples of 16: a place of the second stage is two by two of the first.
            string grid = ops.Fit(ops.ToPlanes(mean, 1, height >> (2 + k), width >> (2 + k)), new FrameSize(Rows, Columns));
            sum = sum is null ? grid : ops.Add(sum, grid);
        }
        return (drawn, ops.ToRows(ops.Log(ops.Add(sum!, ops.Constant(1e-3))), 1));
    }

    private string OneHot(OnnxOps ops, string index) =>
        ops.AreEqual(index, ops.Constant([.. Enumerable.Range(0, _classes).Select(k => (float)k)], 1, _classes));

    /// <summary>By the scales of each cell's own class, a row a cell.</summary>
    /// <param name="values">A row a cell: one value, or one for each class.</param>
    private string Standardised(OnnxOps ops, string values, (float[] Median, float[] Spread) scales, string classOf) =>
        ops.SumLast(ops.Multiply(ops.Divide(ops.Subtract(values, ops.Constant(scales.Median, 1, _classes)),
            ops.Constant(scales.Spread, 1, _classes)), classOf));

    /// <summary>The mean over a cell and its neighbours, as planes.</summary>
    private string Smoothed(OnnxOps ops, string rows) => ops.Conv(ops.ToPlanes(rows, 1, Rows, Columns),
        ops.Constant([.. Enumerable.Repeat(1f / 9, 9)], 1, 1, 3, 3), ops.Constant([0], 1), 1, 1);

    /// <summary>The mean over the cells of a class; near 0, as normal ones are, where there are hardly any.</summary>
    private static string MeanOf(OnnxOps ops, string distances, string isOfClass, int cells) => ops.Divide(
        ops.SumLast(ops.Reshape(ops.Multiply(distances, isOfClass), cells)),
        ops.Add(ops.SumLast(ops.Reshape(isOfClass, cells)), ops.Constant(1)));

    private static Dictionary<string, (float[] Values, long[] Shape)> Joined(
        IReadOnlyDictionary<string, (float[] Values, long[] Shape)> map,
        IReadOnlyDictionary<string, (float[] Values, long[] Shape)>? picture) =>
        map.Concat((picture ?? new Dictionary<string, (float[], long[])>()).Select(weight =>
            KeyValuePair.Create(Picture + weight.Key, weight.Value))).ToDictionary();
}
