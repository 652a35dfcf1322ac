using Microsoft.ML.OnnxRuntime;
using OutlierPipeline.Frames;
using OutlierPipeline.Inference.Cuda;
using OutlierPipeline.Models;
using OutlierPipeline.Telemetry;

namespace OutlierPipeline.Inference;

/// <summary>
/// A batch on a GPU: a session, a stream and a thread of its own, so that the copies of one batch overlap the computing of another. The
/// thread is the same for every run, since ONNX Runtime keeps its CUDA graphs by thread.
/// </summary>
internal sealed class DeviceBatch : BoundBatch
{
    private readonly CudaStream _stream;
    private readonly InferenceSession _session;
    private readonly PartPool _thread;
    private readonly PartRun _run;
    private readonly RunOptions[] _options;
    private readonly Action<int> _refused;
    private readonly JpegBatch? _jpegs;
    private readonly FrameLimits? _limits;
    private readonly FrameDecoder? _decoder;

    /// <param name="stream">Owned by the batch.</param>
    /// <param name="session">Computes in the stream; owned by the batch.</param>
    /// <param name="jpegLimits">Of pictures that the device decodes; null where the CPU does.</param>
    /// <param name="name">Of its thread.</param>
    /// <inheritdoc/>
    public DeviceBatch(CudaStream stream, InferenceSession session, OrtMemoryInfo memory, ModelPackage package, int capacity,
        IReadOnlyList<int> sizes, FrameLimits? jpegLimits, string name)
        : base(package, capacity, sizes, 1, bytes => new DeviceBuffer(bytes, stream))
    {
        _stream = stream;
        _session = session;
        _options = [.. sizes.Select(Options)];
        _refused = DecodeRefused;
        _run = new PartRun(_ => Compute());
        if (jpegLimits is not null)
        {
            var size = package.Card.Network.Size;
            _limits = jpegLimits;
            _jpegs = stream.Device.CreateJpegBatch(stream, capacity, size);
            _decoder = new FrameDecoder(size, jpegLimits);
        }
        Bind(session, memory, package);
        _thread = new PartPool(1, name);
    }

    private protected override void BeginRun() => _thread.Begin(_run, 1);

    private protected override void EndRun() => _run.End();

    internal override void Clear()
    {
        base.Clear();
        _jpegs?.Clear();
    }

    internal override bool TryLeave(int slot, ArraySegment<byte> encoded)
    {
        if (_jpegs is null) return false;
        if (ImageHeader.Read(encoded, _limits!, out var header) != FrameError.None || header.Format != ImageFormat.Jpeg) return false;
        if (!header.Jpeg.IsForHardware)
        {
            PipelineTelemetry.CountDecodedByCpu();
            return false;
        }
        _jpegs.Add(slot, encoded, header);
        return true;
    }

    /// <summary>Waits for a run that nobody waited for, and ends the thread: what it uses may be disposed then.</summary>
    private protected override void EndRuns()
    {
        _thread.Dispose();
        base.EndRuns();
    }

    private protected override void Release()
    {
        _run.Dispose();
        foreach (var options in _options) options.Dispose();
        _jpegs?.Dispose();
        _decoder?.Dispose();
        _session.Dispose();
        _stream.Dispose();
    }

    /// <summary>Decodes, copies, computes and copies back; on the batch's own thread.</summary>
    private void Compute()
    {
        _stream.Enter();
        try
        {
            unsafe
            {
                _jpegs?.Decode(Count, SessionPixels(0), _refused);
            }
            CopyPixels(ofDecoded: false);
            _session.RunWithBinding(_options[SizeIndex()], Bindings()[0]);
            DownloadOutputs();
            // The detector looks at the pictures too: whether they change, how dark they are, what an alert shows. These are small.
            if (_jpegs is not null) CopyPixels(ofDecoded: true);
            _stream.Synchronize();
            if (_jpegs is not null) MarkDecoded();
        }
        finally
        {
            _jpegs?.Release();
        }
    }

    private static RunOptions Options(int size)
    {
        var options = new RunOptions();
        // One CUDA graph a batch size; the stream is waited for here, after the copies behind the run.
        options.AddRunConfigEntry("gpu_graph_id", size.ToString(System.Globalization.CultureInfo.InvariantCulture));
        options.AddRunConfigEntry("disable_synchronize_execution_providers", "1");
        return options;
    }

    /// <summary>
    /// Copies the pictures that the device decoded from it, or the others to it, as many at once as lie beside each other.
    /// </summary>
    private void CopyPixels(bool ofDecoded)
    {
        int first = 0;
        for (int slot = 0; slot <= Count; slot++)
        {
            if (slot < Count && (_jpegs is not null && _jpegs.Has(slot)) == ofDecoded) continue;
            if (slot > first && ofDecoded) DownloadPixels(first, slot - first);
            else if (slot > first) UploadPixels(first, slot - first);
            first = slot + 1;
        }
    }

    /// <summary>nvJPEG does not take a picture: the CPU does, or says what is wrong with it.</summary>
    private void DecodeRefused(int slot)
    {
        PipelineTelemetry.CountDecodedByCpu();
        DecodeHere(slot, _jpegs!.Encoded(slot), _decoder!);
    }

    private void MarkDecoded()
    {
        for (int slot = 0; slot < Count; slot++)
        {
            if (_jpegs!.Has(slot)) MarkWritten(slot);
        }
    }
}
