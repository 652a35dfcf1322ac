using Microsoft.ML.OnnxRuntime;
using OutlierPipeline.Frames;
using OutlierPipeline.Models;
using OutlierPipeline.Training.Onnx;

namespace OutlierPipeline.Training.Features;

/// <summary>Computes a backbone's values of frames' cells in ONNX Runtime: by the very nodes that are exported.</summary>
public sealed class FeatureRunner : IDisposable
{
    private readonly InferenceSession _session;
    private readonly RunOptions _run = new();
    private readonly FrameSize _size;
    private readonly byte[] _mask;

    /// <param name="mask">Region of interest of all frames, or null where every pixel counts.</param>
    /// <param name="fill">The picture that stands where the mask leaves pixels out, <c>[H, W, 3]</c>.</param>
    /// <exception cref="TrainingException">ONNX Runtime does not run the backbone.</exception>
    public FeatureRunner(Backbone backbone, FrameSize size, FrameMask? mask, byte[] fill, int threads)
    {
        _size = size;
        _mask = mask?.Pixels.ToArray() ?? [.. Enumerable.Repeat((byte)1, size.Height * size.Width)];
        var ops = new OnnxOps(new Dictionary<string, (float[], long[])>());
        string image = ops.Input("image", OnnxOps.ByteType, size.Height, size.Width, 3);
        string region = ops.OptionalInput("mask", _mask, size.Height, size.Width);
        ops.Output("cells", Write(ops, backbone, size, fill, image, region), OnnxOps.FloatType, backbone.Channels);
        _session = Create(ops.ToModel(new Dictionary<string, string>()), threads, backbone.Card.Name);
    }

    /// <summary>Square roots of the backbone's values of each cell, <c>[N·h·w, C]</c>.</summary>
    /// <param name="image"><c>[N, H, W, 3]</c> uint8, RGB.</param>
    /// <param name="mask"><c>[N or 1, H, W]</c>, 0 or 1.</param>
    public static string Write(OnnxOps ops, Backbone backbone, FrameSize size, byte[] fill, string image, string mask)
    {
        // Where the mask leaves pixels out stands a picture that never changes, so that what is behind it moves no neighbour.
        var counts = ops.Reshape(ops.ToFloat(mask), size.Height, size.Width, 1);
        var constant = ops.Constant([.. fill.Select(value => (float)value)], 1, size.Height, size.Width, 3);
        var filled = ops.Add(ops.Multiply(ops.ToFloat(image), counts), ops.Multiply(constant, ops.Subtract(ops.Constant(1), counts)));
        return backbone.Write(ops, filled, size);
    }

    /// <summary>Values of frames' cells, <c>[n, h·w, C]</c>.</summary>
    public float[] Run(byte[] frames)
    {
        int n = frames.Length / _size.Bytes;
        using var image = OrtValue.CreateTensorValueFromMemory(frames, [n, _size.Height, _size.Width, 3]);
        using var mask = OrtValue.CreateTensorValueFromMemory(_mask, [1, _size.Height, _size.Width]);
        using var outputs = _session.Run(_run, ["image", "mask"], [image, mask], ["cells"]);
        return outputs[0].GetTensorDataAsSpan<float>().ToArray();
    }

    public void Dispose()
    {
        _run.Dispose();
        _session.Dispose();
    }

    /// <summary>Channels and places that some values of a backbone have, of pictures of a size.</summary>
    /// <exception cref="TrainingException">ONNX Runtime does not run it, or a value is no plane.</exception>
    internal static (int Channels, int Height, int Width)[] ShapesOf(BackboneGraph graph, string[] outputs, FrameSize size, string file)
    {
        var ops = new OnnxOps(new Dictionary<string, (float[], long[])>());
        string planes = ops.Input("planes", OnnxOps.FloatType, 3, size.Height, size.Width);
        string[] spliced = ops.Splice(graph, planes, outputs);
        for (int k = 0; k < spliced.Length; k++) ops.Output(spliced[k] + "/shape", spliced[k], OnnxOps.FloatType);
        using var session = Create(ops.ToModel(new Dictionary<string, string>()), 1, file);
        using var run = new RunOptions();
        using var input = OrtValue.CreateTensorValueFromMemory(new float[3 * size.Height * size.Width], [1, 3, size.Height, size.Width]);
        using var results = session.Run(run, ["planes"], [input], [.. spliced.Select(name => name + "/shape")]);
        return [.. results.Select((result, k) => result.GetTensorTypeAndShape().Shape is [1, var channels, var height, var width]
            ? ((int)channels, (int)height, (int)width)
            : throw new TrainingException($"--backbone {file}: {outputs[k]} has no planes [N, C, h, w]"))];
    }

    internal static InferenceSession Create(byte[] graph, int threads, string name)
    {
        try
        {
            using var options = new SessionOptions
            {
                LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR,
                IntraOpNumThreads = threads
            };
            options.AddSessionConfigEntry("session.intra_op.allow_spinning", "0");
            return new InferenceSession(graph, options);
        }
        catch (OnnxRuntimeException e)
        {
            throw new TrainingException($"ONNX Runtime does not run the backbone {name}: {e.Message.ReplaceLineEndings(" ")}", e);
        }
    }
}
