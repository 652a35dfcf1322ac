using Microsoft.ML.OnnxRuntime;
using OutlierPipeline.Frames;

namespace OutlierPipeline.Training.Features;

/// <summary>Computes a backbone's values of pictures in ONNX Runtime: by the very nodes that are exported.</summary>
internal sealed class GraphRunner : IDisposable
{
    private readonly InferenceSession _session;
    private readonly RunOptions _run = new();
    private readonly FrameSize _size;

    /// <param name="graph">From <c>image</c>, <c>[N, H, W, 3]</c> uint8, to <c>cells</c>.</param>
    /// <param name="name">Of the backbone.</param>
    /// <exception cref="TrainingException">ONNX Runtime does not run it.</exception>
    public GraphRunner(byte[] graph, FrameSize size, int threads, string name)
    {
        _size = size;
        _session = FeatureRunner.Create(graph, threads, name);
    }

    /// <param name="frames"><c>[n, H, W, 3]</c>, RGB.</param>
    public float[] Run(byte[] frames)
    {
        using var image = OrtValue.CreateTensorValueFromMemory(frames, [frames.Length / _size.Bytes, _size.Height, _size.Width, 3]);
        using var outputs = _session.Run(_run, ["image"], [image], ["cells"]);
        return outputs[0].GetTensorDataAsSpan<float>().ToArray();
    }

    public void Dispose()
    {
        _run.Dispose();
        _session.Dispose();
    }
}
