using Microsoft.Extensions.Logging;
using Microsoft.ML.OnnxRuntime;
using OutlierPipeline.Batching;
using OutlierPipeline.Frames;
using OutlierPipeline.Inference.Cuda;
using OutlierPipeline.Models;

namespace OutlierPipeline.Inference;

/// <summary>
/// One model package in ONNX Runtime. Calls are for one thread at a time.
/// </summary>
public sealed partial class InferenceEngine : IDisposable
{
    /// <summary>
    /// Batches that are under way at once: while a GPU computes one, the copies of another go on; cores that are through with one take the
    /// next.
    /// </summary>
    internal const int Concurrency = 2;

    private readonly SessionFactory _sessions;
    private readonly InferenceSession _session;
    private readonly ILogger _log;
    private readonly RunOptions _run = new();
    private readonly List<BoundBatch> _batches = [];
    private readonly PartPool? _cores;
    private byte[]? _frameGraph;
    private InferenceSession? _frames;

    /// <exception cref="ModelPackageException">The graph cannot be loaded, or its inputs and outputs are not those of the card.</exception>
    /// <exception cref="AcceleratorException">The accelerator named in the options is not there.</exception>
    public InferenceEngine(ModelPackage package, InferenceOptions options, ILogger log)
        : this(package, options, new SessionFactory(options, log), log)
    {
    }

    /// <param name="sessions">Owned by the engine.</param>
    internal InferenceEngine(ModelPackage package, InferenceOptions options, SessionFactory sessions, ILogger log)
    {
        Package = package;
        _sessions = sessions;
        _log = log;
        try
        {
            _session = sessions.Create(package.Graph.ToArray(), options.Threads);
            GraphContract.Check(_session, package);
        }
        catch (OnnxRuntimeException e)
        {
            Release();
            throw new ModelPackageException(GraphContract.File(package),
                $"ONNX Runtime cannot load it: {e.Message.ReplaceLineEndings(" ")}", e);
        }
        catch
        {
            Release();
            throw;
        }
        // A GPU takes a batch as a whole; on CPU every core takes a part of it.
        if (!OnDevice)
            _cores = new PartPool(options.Threads > 0 ? options.Threads : Environment.ProcessorCount, $"infer {package.Card.Name}");
        Log.Loaded(log, package.Card.Name, package.Card.Version, package.Card.Network.Size.ToString(), Accelerator, Precision);

        void Release()
        {
            _session?.Dispose();
            sessions.Dispose();
        }
    }

    public ModelPackage Package { get; }

    /// <summary>Parts of a batch that run side by side.</summary>
    internal int Parts => _cores?.Threads ?? 1;

    /// <summary>What computes.</summary>
    public Accelerator Accelerator => _sessions.Accelerator;

    /// <summary>How exactly <see cref="BatchMemory.Run"/> computes the network; tools always have float32.</summary>
    public Precision Precision => _sessions.Precision;

    /// <summary>Whether a GPU computes.</summary>
    internal bool OnDevice => _sessions.Device is not null;

    /// <summary>Memory for batches of up to <paramref name="capacity"/> frames, owned by this engine; every size has run once.</summary>
    /// <param name="frames">How JPEGs are decoded that come encoded; null where none do.</param>
    /// <exception cref="AcceleratorException"><see cref="DecoderChoice.NvJpeg"/> is asked for and not to be had, or the device does not run
    /// the network.</exception>
    /// <exception cref="ModelPackageException">The graph loads and does not run.</exception>
    public BatchMemory CreateBatch(int capacity, FramesOptions? frames = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(capacity, 1);
        var limits = frames is not null && DecodesOnDevice(frames.Decoder) ? frames.Limits : null;
        try
        {
            BoundBatch batch = _cores is null ? CreateDeviceBatch(capacity, limits) : CreateHostBatch(capacity, _cores);
            _batches.Add(batch);
            // The first run of a size chooses kernels, allocates, and records a CUDA graph: not at the expense of the first frames.
            foreach (int size in batch.Sizes)
            {
                batch.Count = Math.Min(capacity, size * Parts);
                batch.Run();
            }
            batch.Count = 0;
            return batch;
        }
        catch (OnnxRuntimeException e) when (OnDevice)
        {
            throw new AcceleratorException($"{Accelerator} cannot run batches of {capacity} frames: {e.Message.ReplaceLineEndings(" ")} " +
                $"(free memory of the GPU, lower Batching:MaxBatchSize, or set Inference:Accelerator to Cpu)", e);
        }
        catch (OnnxRuntimeException e)
        {
            throw new ModelPackageException(GraphContract.File(Package),
                $"ONNX Runtime cannot run it: {e.Message.ReplaceLineEndings(" ")}", e);
        }
    }

    /// <summary>
    /// The fixed set of sizes that a core runs: powers of two and the steps half-way between them, and the capacity itself.
    /// </summary>
    public static IReadOnlyList<int> BatchSizes(int capacity) =>
        [.. Enumerable.Range(0, 31).SelectMany(power => new[] { 1 << power, (1 << power) + (1 << power >> 1) }).Where(size =>
        size > 0 && size < capacity).Append(capacity).Distinct().Order()];

    /// <summary>
    /// The same for a GPU, which is as fast with a few frames more: each size takes time at the start, and memory for its CUDA graph.
    /// </summary>
    public static IReadOnlyList<int> DeviceBatchSizes(int capacity) =>
        [.. Enumerable.Range(0, 31).Select(power => 1 << power).Where(size => size > 0 && size < capacity).Append(capacity)];

    /// <summary>The decoder's drawings of some pictures; for tools, not for the frame path.</summary>
    /// <param name="pixels"><c>[n, H, W, 3]</c> uint8, RGB.</param>
    /// <param name="mask">Region of interest of all of them.</param>
    /// <returns><c>[n, H, W, 3]</c> uint8, RGB.</returns>
    public byte[] Reconstruct(byte[] pixels, FrameMask? mask = null) =>
        Compute(pixels, mask, ["reconstruction"], outputs => outputs[0].GetTensorDataAsSpan<byte>().ToArray());

    /// <summary>Other outputs of the graph for some pictures; for tools, not for the frame path.</summary>
    /// <param name="outputs">Names of float outputs, such as <c>latent</c> and <c>latent_log_variance</c>.</param>
    /// <inheritdoc cref="Reconstruct"/>
    public float[][] Compute(byte[] pixels, FrameMask? mask, params string[] outputs) =>
        Compute(pixels, mask, outputs, values => values.Select(value => value.GetTensorDataAsSpan<float>().ToArray()).ToArray());

    /// <summary>Whether the graph has an output beyond those that every graph has.</summary>
    public bool HasOutput(string name) => _session.OutputMetadata.ContainsKey(name);

    public void Dispose()
    {
        // What is under way ends first.
        _cores?.Dispose();
        foreach (var batch in _batches) batch.Dispose();
        _batches.Clear();
        _run.Dispose();
        _frames?.Dispose();
        _session.Dispose();
        _sessions.Dispose();
    }

    private T Compute<T>(byte[] pixels, FrameMask? mask, string[] names, Func<IDisposableReadOnlyCollection<OrtValue>, T> read)
    {
        var network = Package.Card.Network;
        using var image = OrtValue.CreateTensorValueFromMemory(pixels,
            [pixels.Length / network.Size.Bytes, network.Height, network.Width, 3]);
        using var region = mask is null
            ? null
            : OrtValue.CreateTensorValueFromMemory(mask.Pixels.ToArray(), [1, network.Height, network.Width]);
        using var outputs = region is null
            ? _session.Run(_run, ["image"], [image], names)
            : _session.Run(_run, ["image", "mask"], [image, region], names);
        return read(outputs);
    }

    private HostBatch CreateHostBatch(int capacity, PartPool cores)
    {
        _frames ??= _sessions.Create(FrameGraph(), threads: 1);
        using var memory = _sessions.CreateMemoryInfo();
        return new HostBatch(_frames, memory, _run, Package, capacity, BatchSizes((capacity + Parts - 1) / Parts), cores);
    }

    private DeviceBatch CreateDeviceBatch(int capacity, FrameLimits? jpegLimits)
    {
        var network = Package.Card.Network;
        string mask = Package.HasMasks ? $",mask:{{0}}x{network.Height}x{network.Width}" : "";
        var stream = new CudaStream(_sessions.Device!);
        var session = _sessions.Create(FrameGraph(), stream, $"image:{{0}}x{network.Height}x{network.Width}x3{mask}", capacity);
        using var memory = _sessions.CreateMemoryInfo();
        return new DeviceBatch(stream, session, memory, Package, capacity, DeviceBatchSizes(capacity), jpegLimits,
            $"infer {Package.Card.Name} {_batches.Count}");
    }

    private bool DecodesOnDevice(DecoderChoice choice)
    {
        if (choice == DecoderChoice.Cpu) return false;
        string? fault = _sessions.Device is { } device ? device.OpenJpeg() : "the network is not computed on a GPU";
        if (fault is null)
        {
            if (_batches.Count == 0) Log.NvJpeg(_log, _sessions.Device!.HasJpegEngines ? "engines of the chip" : "CUDA kernels");
            return true;
        }
        if (choice == DecoderChoice.NvJpeg)
            throw new AcceleratorException(
                $"Frames:Decoder is NvJpeg, but {fault}: install the CUDA toolkit's nvJPEG and NVRTC, or set Cpu or Auto");
        if (OnDevice && _batches.Count == 0) Log.AutoDecoder(_log, fault);
        return false;
    }

    /// <summary>
    /// A graph of what the frame path asks for, and no more: ONNX Runtime computes every node of a graph, also those whose outputs nobody
    /// wants.
    /// </summary>
    internal static byte[] FrameGraph(ModelPackage package, Precision precision)
    {
        try
        {
            var graph = OnnxGraph.Parse(package.Graph.ToArray());
            graph.Keep(BoundBatch.OutputsOf(package));
            if (!package.HasMasks) graph.Fix("mask");
            if (precision == Precision.Fp16) graph.HalveNetwork(package.Card.Network.LastWeight);
            return graph.ToArray();
        }
        catch (InvalidDataException e)
        {
            throw new ModelPackageException(GraphContract.File(package), e.Message, e);
        }
    }

    private byte[] FrameGraph() => _frameGraph ??= FrameGraph(Package, Precision);

    /// <summary>The GPU; null on CPU.</summary>
    internal CudaDevice? Device => _sessions.Device;

    /// <summary>Another graph on the same device.</summary>
    /// <param name="threads">Threads of one run on CPU.</param>
    internal InferenceSession Beside(byte[] graph, int threads) => _sessions.Create(graph, threads);

    private static partial class Log
    {
        [LoggerMessage(100, LogLevel.Information, "Model {Name} {Version} ({Size}) is loaded on {Accelerator} in {Precision}.")]
        public static partial void Loaded(ILogger log, string name, string version, string size, Accelerator accelerator,
            Precision precision);

        [LoggerMessage(102, LogLevel.Information, "JPEGs are decoded by nvJPEG, in {How}; those it does not take, by the CPU.")]
        public static partial void NvJpeg(ILogger log, string how);

        [LoggerMessage(103, LogLevel.Information, "Frames:Decoder is Auto and takes the CPU: {Reason}.")]
        public static partial void AutoDecoder(ILogger log, string reason);
    }
}
