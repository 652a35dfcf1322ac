using Microsoft.Extensions.Logging.Abstractions;
using OutlierPipeline.Frames;
using OutlierPipeline.Inference;
using OutlierPipeline.Models;
using OutlierPipeline.Tests.Support;
using OutlierPipeline.Training.Onnx;

namespace OutlierPipeline.Tests.Inference;

/// <summary>A graph whose code was made by hand, for the test that an alert says along what a frame is unusual.</summary>
public sealed class HandMadeCodeTests
{
    private const int Cell = 8;
    private const int Rows = 6;
    private const int Columns = 10;
    private static readonly FrameSize Size = new(Rows * Cell, Columns * Cell);

    private static string Fixture => Path.Combine(Repository.Root, "tests", "OutlierPipeline.IntegrationTests", "Fixtures", "code.onnx");

    [Fact]
    public void The_fixture_of_the_pipelines_tests_is_what_this_code_writes() => Assert.Equal(Write(), File.ReadAllBytes(Fixture));

    [Fact]
    public void Its_code_says_how_blue_the_road_is_and_how_much_brighter_the_left()
    {
        var demo = ModelPackage.Load(Repository.StreetDemo).Card;
        var card = demo with
        {
            Scores = ["latent"],
            LocalScores = [],
            Network = demo.Network with
            {
                Height = Size.Height,
                Width = Size.Width,
                Latent = 2,
                ErrorMapHeight = Rows,
                ErrorMapWidth = Columns,
            },
        };
        using var engine = new InferenceEngine(ModelPackage.Uncalibrated(card, Write(), mask: null), new InferenceOptions(),
            NullLogger.Instance);
        // Red to the left, blue and half as bright to the right.
        byte[] picture = [.. Enumerable.Range(0, Size.Bytes).Select(i => (byte)((i / 3 % Size.Width < Size.Width / 2, i % 3) switch
        {
            (true, 0) => 204,
            (false, 2) => 102,
            _ => 0,
        }))];
        float[] code = engine.Compute(picture, mask: null, "latent")[0];
        Assert.Equal(100 * (0.4f - 0.8f) / 2, code[0], 1e-3f);
        Assert.Equal(100 * (0.8f - 0.4f) / 3, code[1], 1e-3f);
    }

    /// <summary>
    /// The code, in hundredths of white: blue less red before the car, which goes with the sun's height in the simulated street; and how
    /// much brighter the left half is than the right one. The score is its squared distance from what is usual there by day.
    /// </summary>
    private static byte[] Write()
    {
        float[] weights = new float[3 * Rows * Columns * 2];
        for (int row = 0; row < Rows; row++)
        {
            for (int column = 0; column < Columns; column++)
            {
                bool isRoad = row >= Rows - 2 && column is >= 3 and < Columns - 3;
                for (int channel = 0; channel < 3; channel++)
                {
                    int at = 2 * ((channel * Rows + row) * Columns + column);
                    weights[at] = isRoad ? (channel - 1) * 100f / 8 : 0;
                    weights[at + 1] = (column < Columns / 2 ? 1 : -1) * 100f / (3 * Rows * Columns / 2);
                }
            }
        }
        var ops = new OnnxOps(new Dictionary<string, (float[], long[])>
        {
            ["encoder.weight"] = (weights, [3 * Rows * Columns, 2]),
        });
        string image = ops.Input("image", OnnxOps.ByteType, Size.Height, Size.Width, 3);
        byte[] ones = [.. Enumerable.Repeat((byte)1, Size.Height * Size.Width)];
        string mask = ops.ToFloat(ops.OptionalInput("mask", ones, Size.Height, Size.Width));
        string lit = ops.Multiply(ops.ToFloat(image), ops.Constant(1 / 255.0));
        string seen = ops.Multiply(lit, ops.Reshape(mask, Size.Height, Size.Width, 1));
        string cells = ops.AveragePool(ops.Transpose(seen, 0, 3, 1, 2), Cell);
        string code = ops.MatMul(ops.Reshape(cells, 3 * Rows * Columns), ops.Weight("encoder.weight"));
        string off = ops.Divide(ops.Subtract(code, ops.Constant([3, 0], 1, 2)), ops.Constant([1.5f, 3], 1, 2));
        ops.Output("scores", ops.SumLast(ops.Multiply(off, off)), OnnxOps.FloatType, 1);
        ops.Output("latent", code, OnnxOps.FloatType, 2);
        string brightness = ops.SumLast(ops.Reshape(ops.Transpose(cells, 0, 2, 3, 1), Rows, Columns, 3));
        ops.Output("error_map", ops.Reshape(brightness, Rows, Columns), OnnxOps.FloatType, Rows, Columns);
        ops.Output("reconstruction", image, OnnxOps.ByteType, Size.Height, Size.Width, 3);
        return ops.ToModel(new Dictionary<string, string> { ["scores"] = "latent" });
    }
}
