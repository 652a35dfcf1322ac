using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using OutlierPipeline.Frames;

namespace OutlierPipeline.Inference;

/// <summary>One model package in ONNX Runtime. <see cref="Run"/> is for one thread at a time.</summary>
public sealed partial class InferenceEngine : IDisposable
{
    private readonly InferenceSession _session;
    private readonly InferenceOptions _options;
    private readonly RunOptions _run = new();
    private readonly List<FrameBatch> _batches = [];
    private readonly PartRunner _parts;
    private readonly Action<int> _runPart;
    private InferenceSession? _frames;
    private FrameBatch? _running;

    /// <exception cref="ModelPackageException">The graph cannot be loaded, or its inputs and outputs are not those of the card.</exception>
    /// <exception cref="AcceleratorException">The accelerator named in the options is not there.</exception>
    public InferenceEngine(ModelPackage package, InferenceOptions options, ILogger log)
    {
        Package = package;
        using var session = Options(options);
        Accelerator = ChooseAccelerator(session, options, log);
        _options = options with { Accelerator = Accelerator };
        Precision = options.Precision != Precision.Auto ? options.Precision : Accelerator == Accelerator.Cpu ? Precision.Fp32 : Precision.Fp16;
        try
        {
            _session = new InferenceSession(package.Graph.ToArray(), session);
        }
        catch (OnnxRuntimeException e)
        {
            throw new ModelPackageException(GraphFile, $"ONNX Runtime cannot load it: {e.Message.ReplaceLineEndings(" ")}", e);
        }
        try
        {
            CheckGraph();
        }
        catch
        {
            _session.Dispose();
            throw;
        }
        // A GPU takes a batch as a whole; on CPU every core takes a part of it.
        _parts = new PartRunner(Accelerator == Accelerator.Cpu ? options.Threads > 0 ? options.Threads : Environment.ProcessorCount : 1, $"infer {package.Card.Name}");
        _runPart = part => _frames!.RunWithBinding(_run, _running!.Bindings()[part]);
        Log.Loaded(log, package.Card.Name, package.Card.Version, package.Card.Network.Size.ToString(), Accelerator, Precision);
    }

    public ModelPackage Package { get; }

    /// <summary>Parts of a batch that run side by side.</summary>
    internal int Parts => _parts.Parts;

    /// <summary>What computes.</summary>
    public Accelerator Accelerator { get; }

    /// <summary>How exactly <see cref="Run"/> computes the network; tools always have float32.</summary>
    public Precision Precision { get; }

    private string GraphFile => Path.Combine(Package.Path, "model.onnx");

    /// <summary>Memory for batches of up to <paramref name="capacity"/> frames, owned by this engine; every size has run once.</summary>
    public FrameBatch CreateBatch(int capacity)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(capacity, 1);
        _frames ??= FrameSession();
        var batch = new FrameBatch(_frames, Package.Card.Network, Package.Card.Scores.Count, capacity, _parts.Parts, Package.HasMasks);
        _batches.Add(batch);
        // The first run of a size chooses kernels and allocates: not at the expense of the first frames.
        foreach (int size in batch.Sizes)
        {
            batch.Count = Math.Min(capacity, size * _parts.Parts);
            Run(batch);
        }
        batch.Count = 0;
        return batch;
    }

    /// <summary>The fixed set of sizes that run: powers of two and the steps half-way between them, and the capacity itself.</summary>
    public static IReadOnlyList<int> BatchSizes(int capacity) =>
        [.. Enumerable.Range(0, 31).SelectMany(power => new[] { 1 << power, (1 << power) + (1 << power >> 1) }).Where(size => size > 0 && size < capacity).Append(capacity).Distinct().Order()];

    /// <summary>Computes scores, error map and code of the batch's first <see cref="FrameBatch.Count"/> slots.</summary>
    /// <exception cref="OnnxRuntimeException">The device failed: the process cannot go on with this engine.</exception>
    public void Run(FrameBatch batch)
    {
        if (batch.Count == 0) return;
        _running = batch;
        _parts.Run(batch.Bindings().Length, _runPart);
    }

    /// <summary>The decoder's drawings of some pictures; for tools, not for the frame path.</summary>
    /// <param name="pixels"><c>[n, H, W, 3]</c> uint8, RGB.</param>
    /// <param name="mask">Region of interest of all of them.</param>
    /// <returns><c>[n, H, W, 3]</c> uint8, RGB.</returns>
    public byte[] Reconstruct(byte[] pixels, FrameMask? mask = null) => Compute(pixels, mask, ["reconstruction"], outputs => outputs[0].GetTensorDataAsSpan<byte>().ToArray());

    /// <summary>Other outputs of the graph for some pictures; for tools, not for the frame path.</summary>
    /// <param name="outputs">Names of float outputs, such as <c>latent</c> and <c>latent_log_variance</c>.</param>
    /// <inheritdoc cref="Reconstruct"/>
    public float[][] Compute(byte[] pixels, FrameMask? mask, params string[] outputs) =>
        Compute(pixels, mask, outputs, values => values.Select(value => value.GetTensorDataAsSpan<float>().ToArray()).ToArray());

    /// <summary>Whether the graph has an output beyond those that every graph has.</summary>
    public bool HasOutput(string name) => _session.OutputMetadata.ContainsKey(name);

    public void Dispose()
    {
        foreach (var batch in _batches) batch.Dispose();
        _batches.Clear();
        _parts.Dispose();
        _run.Dispose();
        _frames?.Dispose();
        _session.Dispose();
    }

    private T Compute<T>(byte[] pixels, FrameMask? mask, string[] names, Func<IDisposableReadOnlyCollection<OrtValue>, T> read)
    {
        var network = Package.Card.Network;
        using var image = OrtValue.CreateTensorValueFromMemory(pixels, [pixels.Length / network.Size.Bytes, network.Height, network.Width, 3]);
        using var region = mask is null ? null : OrtValue.CreateTensorValueFromMemory(mask.Pixels.ToArray(), [1, network.Height, network.Width]);
        using var outputs = region is null ? _session.Run(_run, ["image"], [image], names) : _session.Run(_run, ["image", "mask"], [image, region], names);
        return read(outputs);
    }

    private static SessionOptions Options(InferenceOptions options)
    {
        var session = new SessionOptions { GraphOptimizationLevel = GraphOptimizationLevel.ORT_ENABLE_ALL, LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR };
        // Spinning worker threads would take the cores that decode the next batch.
        session.AddSessionConfigEntry("session.intra_op.allow_spinning", "0");
        if (options.Threads > 0) session.IntraOpNumThreads = options.Threads;
        return session;
    }

    /// <summary>A session of what the frame path asks for, and no more: ONNX Runtime computes every node of a graph, also those whose outputs nobody wants.</summary>
    private InferenceSession FrameSession()
    {
        var graph = OnnxGraph.Parse(Package.Graph.ToArray());
        graph.Keep(FrameBatch.Outputs);
        if (Precision == Precision.Fp16) graph.HalveNetwork();
        return Beside(graph.ToArray(), threads: 1);
    }

    /// <summary>Another graph on the same device.</summary>
    /// <param name="threads">Threads of one run on CPU.</param>
    internal InferenceSession Beside(byte[] graph, int threads)
    {
        using var session = Options(_options with { Threads = threads });
        ChooseAccelerator(session, _options, NullLogger.Instance);
        return new InferenceSession(graph, session);
    }

    private static Accelerator ChooseAccelerator(SessionOptions session, InferenceOptions options, ILogger log)
    {
        string[] available = OrtEnv.Instance().GetAvailableProviders();
        if (options.Accelerator == Accelerator.Cpu) return Accelerator.Cpu;
        if (options.Accelerator == Accelerator.TensorRt)
        {
            Require("TensorrtExecutionProvider", () => session.AppendExecutionProvider_Tensorrt(options.Device));
            Require("CUDAExecutionProvider", () => session.AppendExecutionProvider_CUDA(options.Device));
            return Accelerator.TensorRt;
        }
        if (options.Accelerator == Accelerator.Cuda)
        {
            Require("CUDAExecutionProvider", () => session.AppendExecutionProvider_CUDA(options.Device));
            return Accelerator.Cuda;
        }
        if (!available.Contains("CUDAExecutionProvider"))
        {
            Log.AutoCpu(log, "this build has no CUDA provider");
            return Accelerator.Cpu;
        }
        try
        {
            session.AppendExecutionProvider_CUDA(options.Device);
            return Accelerator.Cuda;
        }
        catch (OnnxRuntimeException e)
        {
            Log.AutoCpu(log, e.Message.ReplaceLineEndings(" "));
            return Accelerator.Cpu;
        }

        void Require(string provider, Action append)
        {
            if (!available.Contains(provider))
                throw new AcceleratorException($"Inference:Accelerator is {options.Accelerator}, but this build of ONNX Runtime has no {provider} (it has {string.Join(", ", available)}): build with -p:Accelerator=Cuda, or set Cpu or Auto");
            try
            {
                append();
            }
            catch (OnnxRuntimeException e)
            {
                throw new AcceleratorException($"Inference:Accelerator is {options.Accelerator}, but it does not start: {e.Message.ReplaceLineEndings(" ")}", e);
            }
        }
    }

    private void CheckGraph()
    {
        var network = Package.Card.Network;
        int scores = Package.Card.Scores.Count;
        Check(_session.InputMetadata, "input", "image", TensorElementType.UInt8, -1, network.Height, network.Width, 3);
        // An input with a default: ones, so that whoever knows of no mask need not.
        Check(_session.OverridableInitializerMetadata, "optional input", "mask", TensorElementType.UInt8, 1, network.Height, network.Width);
        Check(_session.OutputMetadata, "output", "scores", TensorElementType.Float, -1, scores);
        Check(_session.OutputMetadata, "output", "latent", TensorElementType.Float, -1, network.Latent);
        Check(_session.OutputMetadata, "output", "error_map", TensorElementType.Float, -1, network.ErrorMapHeight, network.ErrorMapWidth);
        Check(_session.OutputMetadata, "output", "reconstruction", TensorElementType.UInt8, -1, network.Height, network.Width, 3);
        if (!_session.ModelMetadata.CustomMetadataMap.TryGetValue("scores", out string? names) || names != string.Join(',', Package.Card.Scores))
            throw new ModelPackageException(GraphFile, $"names the scores [{names}], model.json names [{string.Join(',', Package.Card.Scores)}]");
    }

    private void Check(IReadOnlyDictionary<string, NodeMetadata> nodes, string kind, string name, TensorElementType type, params int[] shape)
    {
        if (!nodes.TryGetValue(name, out var node)) throw new ModelPackageException(GraphFile, $"has no {kind} {name}");
        bool fits = node.IsTensor && node.ElementDataType == type && node.Dimensions.Length == shape.Length
            && node.Dimensions.Zip(shape).All(pair => pair.First == pair.Second || pair.First == -1);
        if (!fits) throw new ModelPackageException(GraphFile, $"{kind} {name} is {node.ElementDataType} [{string.Join(", ", node.Dimensions)}], model.json asks for {type} [{string.Join(", ", shape)}]");
    }

    private static partial class Log
    {
        [LoggerMessage(100, LogLevel.Information, "Model {Name} {Version} ({Size}) is loaded on {Accelerator} in {Precision}.")]
        public static partial void Loaded(ILogger log, string name, string version, string size, Accelerator accelerator, Precision precision);

        [LoggerMessage(101, LogLevel.Information, "Inference:Accelerator is Auto and takes the CPU: {Reason}.")]
        public static partial void AutoCpu(ILogger log, string reason);
    }
}
