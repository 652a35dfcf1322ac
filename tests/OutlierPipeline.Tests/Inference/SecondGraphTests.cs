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

    private static string Fixture => Path.Combine(Repository.Root, "tests", "OutlierPipeline.IntegrationTests", "Fixtures", "second.onnx");

    [Fact]
    public void The_fixture_of_the_pipelines_tests_is_what_this_code_writes()
    {
        byte[] written = Write();
        Assert.Equal(written, File.ReadAllBytes(Fixture));
    }

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
            var (map, mapSize, drawn, drawnSize) = scorer.Show(picture, size);
            Assert.Equal((size, size), (mapSize, drawnSize));
            Assert.Equal((0, 1), (map[0], map[^1]));
            Assert.Equal(picture, drawn);
        }
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
    private static byte[] Write()
    {
        var ops = new OnnxOps(new Dictionary<string, (float[], long[])>());
        string image = ops.Pictures("image");
        string planes = ops.Transpose(ops.ToFloat(image), 0, 3, 1, 2);
        string means = ops.Reshape(ops.GlobalAveragePool(planes), 3);
        ops.Output("scores", ops.Slice(means, 0, 2), OnnxOps.FloatType, 2);
        // Of three equal channels the mean is their level.
        string bright = ops.Round(ops.Multiply(ops.ToFloat(image), ops.Constant(1 / 255.0)));
        ops.Output("map", ops.Cast(ops.LargestOf(ops.Concat(ops.Subtract(ops.Constant(0.5), ops.Slice(bright, 0, 1)),
            ops.Subtract(ops.Slice(bright, 0, 1), ops.Constant(0.5)))), OnnxOps.ByteType), OnnxOps.ByteType);
        ops.Output("picture", image, OnnxOps.ByteType);
        return ops.ToModel(new Dictionary<string, string> { ["scores"] = string.Join(',', Card.Scores) });
    }
}
