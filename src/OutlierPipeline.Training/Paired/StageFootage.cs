using OutlierPipeline.Footage;
using OutlierPipeline.Frames;
using OutlierPipeline.Training.Features;
using OutlierPipeline.Training.Networks;
using OutlierPipeline.Training.Onnx;
using static TorchSharp.torch;

namespace OutlierPipeline.Training.Paired;

/// <summary>
/// What the stages of a frozen backbone say of every frame and of its mirror picture, computed once and kept in half precision in temporary
/// files (at 480×360 2.6 MB a picture).
/// </summary>
internal sealed class StageFootage : IDisposable
{
    /// <summary>Each frame as it is, and mirrored.</summary>
    public const int Views = 2;

    private readonly FeatureFootage[] _views;

    private StageFootage(FeatureFootage[] views) => _views = views;

    /// <summary>Whether a view shows frames mirrored.</summary>
    public static bool IsMirrored(int view) => view == 1;

    /// <summary>Runs the backbone over all frames.</summary>
    /// <param name="progress">Pictures that are through, of all views together.</param>
    public static StageFootage Of(DecodedFootage footage, Backbone backbone, MapNetwork network, int threads, Action<int> progress,
        CancellationToken cancellation)
    {
        var ops = new OnnxOps(new Dictionary<string, (float[], long[])>());
        var size = network.Size;
        string pixels = ops.ToFloat(ops.Input("image", OnnxOps.ByteType, size.Height, size.Width, 3));
        int values = network.Stages.Sum(Values);
        string[] stages = [.. backbone.WriteStages(ops, pixels).Select((planes, k) => ops.Reshape(planes, Values(network.Stages[k])))];
        ops.Output("cells", ops.Concat(stages), OnnxOps.FloatType, values);
        using var runner = new GraphRunner(ops.ToModel(new Dictionary<string, string>()), size, threads, backbone.Card.Name);
        var views = new List<FeatureFootage>();
        try
        {
            for (int view = 0; view < Views; view++)
            {
                int before = view * footage.Count;
                bool isMirrored = IsMirrored(view);
                views.Add(FeatureFootage.Of(footage, frames => runner.Run(isMirrored ? Mirrored(frames, size) : frames), 1, values,
                    done => progress(before + done), cancellation));
            }
            return new StageFootage([.. views]);
        }
        catch
        {
            foreach (var view in views) view.Dispose();
            throw;
        }
    }

    /// <summary>Planes of each stage, <c>[N, C, h, w]</c>.</summary>
    public Tensor[] Read(int[] frames, int view, MapNetwork network)
    {
        var rows = _views[view].Rows(frames);
        var stages = new Tensor[network.Stages.Count];
        long at = 0;
        for (int k = 0; k < stages.Length; k++)
        {
            var (channels, height, width) = network.Stages[k];
            stages[k] = rows.narrow(1, at, Values(network.Stages[k])).reshape(-1, channels, height, width);
            at += Values(network.Stages[k]);
        }
        return stages;
    }

    /// <summary>Mean and deviation of each stage's channels over at most 64 frames, evenly spread.</summary>
    public IEnumerable<(Tensor Mean, Tensor Deviation, int Stage)> Statistics(MapNetwork network)
    {
        int count = Math.Min(64, _views[0].Count);
        int[] some = [.. Enumerable.Range(0, count).Select(i => (int)((long)i * _views[0].Count / count))];
        var sums = network.Stages.Select(stage => (zeros(stage.Channels, dtype: float64), zeros(stage.Channels, dtype: float64))).ToArray();
        foreach (int[] batch in some.Chunk(8))
        {
            using var scope = NewDisposeScope();
            foreach (var (planes, k) in Read(batch, 0, network).Select((planes, k) => (planes.to(float64), k)))
            {
                sums[k].Item1.add_(planes.mean([0L, 2L, 3L]) * ((double)batch.Length / count));
                sums[k].Item2.add_(planes.pow(2).mean([0L, 2L, 3L]) * ((double)batch.Length / count));
            }
        }
        return sums.Select((sum, k) => (sum.Item1.to(float32), (sum.Item2 - sum.Item1.pow(2)).clamp_min(0).sqrt().to(float32), k));
    }

    public void Dispose()
    {
        foreach (var view in _views) view.Dispose();
    }

    private static int Values((int Channels, int Rows, int Columns) stage) => stage.Channels * stage.Rows * stage.Columns;

    private static byte[] Mirrored(byte[] frames, FrameSize size)
    {
        byte[] mirrored = new byte[frames.Length];
        for (int row = 0; row < frames.Length / (size.Width * 3); row++)
        {
            for (int x = 0; x < size.Width; x++)
                frames.AsSpan((row * size.Width + x) * 3, 3).CopyTo(mirrored.AsSpan((row * size.Width + size.Width - 1 - x) * 3));
        }
        return mirrored;
    }
}
