using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using OutlierPipeline.Footage;
using static TorchSharp.torch;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace OutlierPipeline.Training.Features;

/// <summary>
/// What the backbone says of every cell of every frame, computed once and kept in half precision in a temporary file: 30,000 frames are
/// more than memory.
/// </summary>
public sealed class FeatureFootage : IDisposable
{
    private const int Batch = 16;
    private readonly SafeFileHandle _file;
    private readonly int _values;
    private readonly int[] _frames;

    /// <param name="frames">Where each frame stands in the file.</param>
    private FeatureFootage(SafeFileHandle file, int[] frames, int cells, int channels)
    {
        _file = file;
        _frames = frames;
        Cells = cells;
        Channels = channels;
        _values = cells * channels;
    }

    /// <summary>Frames.</summary>
    public int Count => _frames.Length;

    /// <summary>Cells of a frame.</summary>
    public int Cells { get; }

    /// <summary>Values of a cell.</summary>
    public int Channels { get; }

    /// <summary>Runs the backbone over all frames.</summary>
    /// <param name="progress">Frames that are through.</param>
    public static FeatureFootage Of(DecodedFootage footage, FeatureRunner runner, int cells, int channels, Action<int> progress,
        CancellationToken cancellation) => Of(footage, runner.Run, cells, channels, progress, cancellation);

    /// <param name="run">From frames <c>[n, H, W, 3]</c> to their values, <c>[n, cells, channels]</c>.</param>
    /// <inheritdoc cref="Of(DecodedFootage, FeatureRunner, int, int, Action{int}, CancellationToken)"/>
    public static FeatureFootage Of(DecodedFootage footage, Func<byte[], float[]> run, int cells, int channels, Action<int> progress,
        CancellationToken cancellation)
    {
        string path = Path.GetTempFileName();
        var file = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite, FileShare.None, FileOptions.DeleteOnClose);
        try
        {
            for (int first = 0; first < footage.Count; first += Batch)
            {
                cancellation.ThrowIfCancellationRequested();
                int count = Math.Min(Batch, footage.Count - first);
                byte[] frames = new byte[count * footage.Size.Bytes];
                for (int i = 0; i < count; i++) footage.Read(first + i, frames.AsSpan(i * footage.Size.Bytes, footage.Size.Bytes));
                var halves = new Half[count * cells * channels];
                TensorPrimitives.ConvertToHalf(run(frames), halves);
                RandomAccess.Write(file, MemoryMarshal.AsBytes(halves.AsSpan()), (long)first * cells * channels * sizeof(ushort));
                progress(first + count);
            }
            return new FeatureFootage(file, [.. Enumerable.Range(0, footage.Count)], cells, channels);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Some of the frames, in a file that they share.</summary>
    public FeatureFootage Of(IEnumerable<int> frames) => new(_file, [.. frames.Select(i => _frames[i])], Cells, Channels);

    /// <summary>One frame's cells, <c>[h·w, C]</c>.</summary>
    public void Read(int index, Span<float> cells)
    {
        var halves = new Half[_values];
        var bytes = MemoryMarshal.AsBytes(halves.AsSpan());
        long at = (long)_frames[index] * bytes.Length;
        for (int read = 0; read < bytes.Length;)
        {
            int now = RandomAccess.Read(_file, bytes[read..], at + read);
            if (now == 0) throw new IOException("the temporary file of features is shorter than it was");
            read += now;
        }
        TensorPrimitives.ConvertToSingle(halves, cells);
    }

    /// <summary>Some frames' cells, <c>[n·h·w, C]</c>.</summary>
    public Tensor Rows(IReadOnlyList<int> frames)
    {
        float[] values = new float[frames.Count * _values];
        for (int i = 0; i < frames.Count; i++) Read(frames[i], values.AsSpan(i * _values, _values));
        return tensor(values, [(long)frames.Count * Cells, Channels]);
    }

    /// <summary>Closes the file, also for what shares it.</summary>
    public void Dispose() => _file.Dispose();
}
