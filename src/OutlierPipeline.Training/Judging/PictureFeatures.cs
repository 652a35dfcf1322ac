using Microsoft.ML.OnnxRuntime;
using OutlierPipeline.Footage;
using OutlierPipeline.Frames;
using OutlierPipeline.Training.Features;
using OutlierPipeline.Training.Onnx;

namespace OutlierPipeline.Training.Judging;

/// <summary>What ResNet18's last stage says of pictures, averaged over each: the space in which drawn pictures are judged.</summary>
internal sealed class PictureFeatures : IDisposable
{
    private const int Batch = 32;
    private readonly FrameSize _size;
    private readonly InferenceSession _session;
    private readonly RunOptions _run = new();

    /// <exception cref="TrainingException">The backbone is missing.</exception>
    public PictureFeatures(FrameSize size, int threads)
    {
        _size = size;
        var backbone = Backbone.ResNet18(stages: 4);
        var ops = new OnnxOps(new Dictionary<string, (float[], long[])>());
        string image = ops.Input("image", OnnxOps.ByteType, size.Height, size.Width, 3);
        ops.Output("features", backbone.WritePooled(ops, ops.ToFloat(image)), OnnxOps.FloatType, backbone.Stages[^1].Channels, 1, 1);
        using var options = new SessionOptions { IntraOpNumThreads = threads };
        _session = new InferenceSession(ops.ToModel(new Dictionary<string, string>()), options);
    }

    /// <param name="pictures"><c>[n, H, W, 3]</c> uint8, RGB.</param>
    /// <returns>n rows of 512.</returns>
    public float[][] Of(byte[] pictures)
    {
        var rows = new List<float[]>();
        foreach (byte[] batch in pictures.Chunk(Batch * _size.Bytes))
        {
            int count = batch.Length / _size.Bytes;
            using var image = OrtValue.CreateTensorValueFromMemory(batch, [count, _size.Height, _size.Width, 3]);
            using var outputs = _session.Run(_run, ["image"], [image], ["features"]);
            float[] values = outputs[0].GetTensorDataAsSpan<float>().ToArray();
            rows.AddRange(values.Chunk(values.Length / count));
        }
        return [.. rows];
    }

    /// <summary>The same of at most so many frames, evenly spread.</summary>
    public float[][] Of(DecodedFootage footage, int most)
    {
        int count = Math.Min(most, footage.Count);
        return Of([.. Enumerable.Range(0, count).SelectMany(i => footage[(int)((long)i * footage.Count / count)])]);
    }

    public void Dispose()
    {
        _run.Dispose();
        _session.Dispose();
    }
}
