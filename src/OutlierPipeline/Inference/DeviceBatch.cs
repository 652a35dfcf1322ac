using Microsoft.ML.OnnxRuntime;
using OutlierPipeline.Batching;
using OutlierPipeline.Frames;
using OutlierPipeline.Inference.Cuda;
using OutlierPipeline.Telemetry;

namespace OutlierPipeline.Inference;

/// <summary>
/// How one batch runs on a GPU: a session, a stream and a thread of its own, so that the copies of one batch overlap the computing of
/// another. The thread is the same for
/// every run, since ONNX Runtime keeps its CUDA graphs by thread.
/// </summary>
internal sealed class DeviceBatch : IDisposable
{
    private readonly PartPool _thread;
    private readonly Action<int> _refused;
    private RunOptions[] _options = [];
    private FrameBatch? _batch;
    private JpegBatch? _jpegs;
    private FrameLimits? _limits;
    private FrameDecoder? _decoder;

    /// <param name="create">Makes the session that computes in the stream.</param>
    public DeviceBatch(CudaDevice device, Func<CudaStream, InferenceSession> create, string name)
    {
        Stream = new CudaStream(device);
        Session = create(Stream);
        _thread = new PartPool(1, name);
        _refused = DecodeHere;
    }

    public CudaStream Stream { get; }

    public InferenceSession Session { get; }

    /// <summary>Takes the memory that is run, which owns this.</summary>
    /// <param name="jpegLimits">Of pictures that the device decodes; null where the CPU does.</param>
    public void Attach(FrameBatch batch, FrameSize size, FrameLimits? jpegLimits)
    {
        _batch = batch;
        _options = [.. batch.Sizes.Select(Options)];
        if (jpegLimits is null) return;
        _limits = jpegLimits;
        _jpegs = Stream.Device.CreateJpegBatch(Stream, batch.Capacity, size);
        _decoder = new FrameDecoder(size, jpegLimits);
    }

    /// <inheritdoc cref="FrameBatch.TryLeave"/>
    public bool TryLeave(int slot, ArraySegment<byte> encoded)
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

    public void Clear() => _jpegs?.Clear();

    /// <summary>Begins a run of the batch.</summary>
    public void Begin() => _thread.Begin(_batch!.Parts, 1);

    /// <summary>Decodes, copies, computes and copies back; on the batch's own thread.</summary>
    public void Run()
    {
        var batch = _batch!;
        Stream.Enter();
        try
        {
            unsafe
            {
                _jpegs?.Decode(batch.Count, batch.DevicePixels, _refused);
            }
            CopyPixels(ofDecoded: false);
            Session.RunWithBinding(_options[batch.SizeIndex()], batch.Bindings()[0]);
            batch.DownloadOutputs();
            // The detector looks at the pictures too: whether they change, how dark they are, what an alert shows. These are small.
            if (_jpegs is not null) CopyPixels(ofDecoded: true);
            Stream.Synchronize();
            if (_jpegs is not null) MarkDecoded();
        }
        finally
        {
            _jpegs?.Release();
        }
    }

    /// <summary>Waits for a run that nobody waited for, and ends the thread: what it uses may be disposed then.</summary>
    public void Stop() => _thread.Dispose();

    public void Dispose()
    {
        foreach (var options in _options) options.Dispose();
        _jpegs?.Dispose();
        _decoder?.Dispose();
        Session.Dispose();
        Stream.Dispose();
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
        for (int slot = 0; slot <= _batch!.Count; slot++)
        {
            if (slot < _batch.Count && (_jpegs is not null && _jpegs.Has(slot)) == ofDecoded) continue;
            if (slot > first && ofDecoded) _batch.DownloadPixels(first, slot - first);
            else if (slot > first) _batch.UploadPixels(first, slot - first);
            first = slot + 1;
        }
    }

    /// <summary>nvJPEG does not take a picture: the CPU does, or says what is wrong with it.</summary>
    private void DecodeHere(int slot)
    {
        PipelineTelemetry.CountDecodedByCpu();
        _batch!.DecodeHere(slot, _jpegs!.Encoded(slot), _decoder!);
    }

    private void MarkDecoded()
    {
        for (int slot = 0; slot < _batch!.Count; slot++)
        {
            if (_jpegs!.Has(slot)) _batch.MarkWritten(slot);
        }
    }
}
