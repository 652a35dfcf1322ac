using OutlierPipeline.Frames;
using OutlierPipeline.Inference;
using OutlierPipeline.Models;
using OutlierPipeline.Tests.Support;
using OutlierPipeline.Training.Onnx;

namespace OutlierPipeline.Tests.Inference;

/// <summary>The second graph that tests of the pipeline use, and what is refused.</summary>
public sealed class SecondGraphTests
{
    private static readonly SecondCard Card = new()
    {
        Scores = [SecondGraph.Resynthesis, SecondGraph.Classes],
        Classes = [new ClassCard("dark", "#202020"), new ClassCard("bright", "#f0f0f0")],
        Source = "a test",
    };

    private static string Fixture(string name) =>
        Path.Combine(Repository.Root, "tests", "OutlierPipeline.IntegrationTests", "Fixtures", name);

    [Theory]
    [InlineData("second.onnx", false)]
    [InlineData("second-maps.onnx", true)]
    public void The_fixtures_of_the_pipelines_tests_are_what_this_code_writes(string name, bool hasHeatMaps) =>
        Assert.Equal(Write(hasHeatMaps), File.ReadAllBytes(Fixture(name)));

    [Fact]
    public void It_takes_pictures_of_any_size_and_gives_scores_a_map_and_a_picture()
    {
        using var scorer = new SecondScorer(Write(), Card, "package", threads: 1);
        Assert.True(scorer.Draws);
        foreach (var size in new FrameSize[] { new(6, 10), new(32, 16) })
        {
            // Red is 51 on the left and 204 on the right.
            byte[] picture = [.. Enumerable.Range(0, size.Bytes).Select(i => (byte)(i / 3 % size.Width < size.Width / 2 ? 51 : 204))];
            float[] scores = scorer.Score(picture, size);
            Assert.Equal(127.5f, scores[0], 0.01f);
            var view = scorer.Show(picture, size);
            Assert.Equal((size, size), (view.MapSize, view.DrawnSize));
            Assert.Equal((0, 1), (view.Map[0], view.Map[^1]));
            Assert.Equal(picture, view.Drawn);
            Assert.Equal((0, 0), (view.Differences.Length, view.Unlike.Length));
        }
    }

    [Fact]
    public void Its_heat_maps_are_shown_where_it_has_some()
    {
        using var scorer = new SecondScorer(Write(hasHeatMaps: true), Card, "package", threads: 1);
        var size = new FrameSize(4, 6);
        byte[] picture = [.. Enumerable.Range(0, size.Bytes).Select(i => (byte)(i / 3 % size.Width < 2 ? 51 : 204))];
        var view = scorer.Show(picture, size);
        Assert.Equal((size, size), (view.DifferencesSize, view.UnlikeSize));
        Assert.Equal([0, 0, 9, 9, 9, 9], view.Differences[..6]);
        Assert.Equal([9, 9, 0, 0, 0, 0], view.Unlike[..6]);
    }

    [Fact]
    public void A_graph_with_other_scores_than_the_card_is_refused()
    {
        var other = Card with { Scores = [SecondGraph.Classes] };
        var refused = Assert.Throws<ModelPackageException>(() => new SecondScorer(Write(), other, "package"));
        Assert.Contains("[classes]", refused.Message, StringComparison.Ordinal);
        Assert.Contains("second.onnx", refused.Message, StringComparison.Ordinal);
        refused = Assert.Throws<ModelPackageException>(() => new SecondScorer(new byte[] { 1, 2, 3 }, Card, "package"));
        Assert.Contains("cannot load it", refused.Message, StringComparison.Ordinal);
    }

    /// <summary>Scores of the mean red and green, a map of what is bright, and the picture as it is.</summary>
    /// <param name="hasHeatMaps">Whether what is bright is different, and what is dark unlike its class.</param>
    private static byte[] Write(bool hasHeatMaps = false)
    {
        var ops = new OnnxOps(new Dictionary<string, (float[], long[])>());
        string image = ops.Pictures("image");
        string planes = ops.Transpose(ops.ToFloat(image), 0, 3, 1, 2);
        string means = ops.Reshape(ops.GlobalAveragePool(planes), 3);
        ops.Output("scores", ops.Slice(means, 0, 2), OnnxOps.FloatType, 2);
        // Of three equal channels the mean is their level.
        string bright = ops.Round(ops.Multiply(ops.ToFloat(image), ops.Constant(1 / 255.0)));
        string map = ops.Cast(ops.LargestOf(ops.Concat(ops.Subtract(ops.Constant(0.5), ops.Slice(bright, 0, 1)),
            ops.Subtract(ops.Slice(bright, 0, 1), ops.Constant(0.5)))), OnnxOps.ByteType);
        ops.Output("map", map, OnnxOps.ByteType);
        if (hasHeatMaps)
        {
            string nine = ops.Multiply(ops.ToFloat(map), ops.Constant(9));
            ops.Output("error_map", nine, OnnxOps.FloatType);
            ops.Output("class_map", ops.Subtract(ops.Constant(9), nine), OnnxOps.FloatType);
        }
        ops.Output("picture", image, OnnxOps.ByteType);
        return ops.ToModel(new Dictionary<string, string> { ["scores"] = string.Join(',', Card.Scores) });
    }
}
