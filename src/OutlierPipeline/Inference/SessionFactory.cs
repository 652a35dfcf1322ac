using System.Globalization;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Logging;
using Microsoft.ML.OnnxRuntime;
using OutlierPipeline.Inference.Cuda;

namespace OutlierPipeline.Inference;

/// <summary>Makes ONNX Runtime sessions on the accelerator that the options name, or the fastest that is there.</summary>
internal sealed partial class SessionFactory : IDisposable
{
    private const string CudaProvider = "CUDAExecutionProvider";
    private const string TensorRtProvider = "TensorrtExecutionProvider";
    private readonly InferenceOptions _options;
    private readonly bool _isEmulated;

    /// <exception cref="AcceleratorException">The accelerator named in the options is not there, or does not start.</exception>
    public SessionFactory(InferenceOptions options, ILogger log)
    {
        _options = options;
        (Accelerator, Device) = Choose(options, log);
        Precision = options.Precision != Precision.Auto
            ? options.Precision
            : Accelerator == Accelerator.Cpu
            ? Precision.Fp32
            : Precision.Fp16;
    }

    /// <summary>
    /// For tests: the CPU computes, but all that surrounds computing on a GPU goes through these CUDA libraries, whose device memory is the
    /// CPU's.
    /// </summary>
    public SessionFactory(InferenceOptions options, CudaDevice emulated)
    {
        _options = options;
        _isEmulated = true;
        Accelerator = Accelerator.Cpu;
        Precision = Precision.Fp32;
        Device = emulated;
    }

    public Accelerator Accelerator { get; }

    public Precision Precision { get; }

    /// <summary>The GPU; null on CPU.</summary>
    public CudaDevice? Device { get; }

    /// <summary>Where the inputs and outputs of a session in a stream lie.</summary>
    public OrtMemoryInfo CreateMemoryInfo() => Device is null || _isEmulated
        ? new OrtMemoryInfo(OrtMemoryInfo.allocatorCPU, OrtAllocatorType.ArenaAllocator, 0, OrtMemType.Default)
        : new OrtMemoryInfo(OrtMemoryInfo.allocatorCUDA, OrtAllocatorType.DeviceAllocator, Device.Ordinal, OrtMemType.Default);

    /// <summary>A session for one caller at a time.</summary>
    /// <param name="graph">The bytes of an ONNX file.</param>
    /// <param name="threads">Threads of one run on CPU; 0 takes one a core.</param>
    /// <exception cref="OnnxRuntimeException">The graph cannot be loaded.</exception>
    public InferenceSession Create(byte[] graph, int threads) => Create(graph, threads, null, "");

    /// <summary>A session that computes in a stream, of batches of a few fixed sizes whose memory never moves.</summary>
    /// <param name="shapes">The inputs' shapes for TensorRT, with <c>{0}</c> for the number of frames.</param>
    /// <param name="capacity">Frames at most.</param>
    public InferenceSession Create(byte[] graph, CudaStream stream, string shapes, int capacity) =>
        Create(graph, 1, stream, shapes, capacity);

    public void Dispose() => Device?.Dispose();

    private InferenceSession Create(byte[] graph, int threads, CudaStream? stream, string shapes, int capacity = 0)
    {
        using var session = new SessionOptions
        {
            GraphOptimizationLevel = GraphOptimizationLevel.ORT_ENABLE_ALL,
            LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR
        };
        // Spinning worker threads would take the cores that decode the next batch.
        session.AddSessionConfigEntry("session.intra_op.allow_spinning", "0");
        if (threads > 0) session.IntraOpNumThreads = threads;
        if (Accelerator == Accelerator.TensorRt) AppendTensorRt(session, stream, shapes, capacity);
        if (Accelerator != Accelerator.Cpu) AppendCuda(session, stream);
        return new InferenceSession(graph, session);
    }

    private void AppendCuda(SessionOptions session, CudaStream? stream)
    {
        using var cuda = new OrtCUDAProviderOptions();
        var options = new Dictionary<string, string>
        {
            ["device_id"] = Number(_options.Device),
            // Without, float32 products would have the mantissa of half precision.
            ["use_tf32"] = "0",
            // An exhaustive search would take seconds a batch size.
            ["cudnn_conv_algo_search"] = "HEURISTIC",
            // Tensor cores read channels last.
            ["prefer_nhwc"] = Precision == Precision.Fp16 ? "1" : "0",
        };
        if (stream is not null)
        {
            options["has_user_compute_stream"] = "1";
            options["user_compute_stream"] = Number(stream.Handle);
            options["enable_cuda_graph"] = _options.CudaGraphs && Accelerator == Accelerator.Cuda ? "1" : "0";
        }
        cuda.UpdateOptions(options);
        session.AppendExecutionProvider_CUDA(cuda);
    }

    private void AppendTensorRt(SessionOptions session, CudaStream? stream, string shapes, int capacity)
    {
        using var tensorRt = new OrtTensorRTProviderOptions();
        var options = new Dictionary<string, string>
        {
            ["device_id"] = Number(_options.Device),
            ["trt_fp16_enable"] = Precision == Precision.Fp16 ? "1" : "0",
        };
        if (_options.EngineCache.Length > 0)
        {
            Directory.CreateDirectory(_options.EngineCache);
            options["trt_engine_cache_enable"] = "1";
            options["trt_engine_cache_path"] = _options.EngineCache;
            options["trt_timing_cache_enable"] = "1";
            options["trt_timing_cache_path"] = _options.EngineCache;
        }
        if (stream is not null)
        {
            options["has_user_compute_stream"] = "1";
            options["user_compute_stream"] = Number(stream.Handle);
            options["trt_cuda_graph_enable"] = _options.CudaGraphs ? "1" : "0";
            options["trt_profile_min_shapes"] = string.Format(CultureInfo.InvariantCulture, shapes, 1);
            options["trt_profile_opt_shapes"] = options["trt_profile_max_shapes"] = string.Format(CultureInfo.InvariantCulture,
                shapes, capacity);
        }
        tensorRt.UpdateOptions(options);
        session.AppendExecutionProvider_Tensorrt(tensorRt);
    }

    private static (Accelerator, CudaDevice?) Choose(InferenceOptions options, ILogger log)
    {
        if (options.Accelerator == Accelerator.Cpu) return (Accelerator.Cpu, null);
        string[] available = OrtEnv.Instance().GetAvailableProviders();
        bool isNamed = options.Accelerator != Accelerator.Auto;
        string provider = options.Accelerator == Accelerator.TensorRt ? TensorRtProvider : CudaProvider;
        string fault;
        if (!available.Contains(provider))
        {
            if (isNamed) throw new AcceleratorException($"Inference:Accelerator is {options.Accelerator}, but this build of ONNX Runtime " +
                $"has no {provider} (it has {string.Join(", ", available)}): build with -p:Accelerator=Cuda, or set Cpu or Auto");
            fault = "this build has no CUDA provider";
        }
        else
        {
            CudaDevice? device = null;
            try
            {
                // What ONNX Runtime's provider links to must be there as well as the device.
                using var provided = new SessionOptions();
                using var cuda = new OrtCUDAProviderOptions();
                cuda.UpdateOptions(new Dictionary<string, string> { ["device_id"] = Number(options.Device) });
                provided.AppendExecutionProvider_CUDA(cuda);
                if (options.Accelerator == Accelerator.TensorRt)
                {
                    using var tensorRt = new OrtTensorRTProviderOptions();
                    provided.AppendExecutionProvider_Tensorrt(tensorRt);
                }
                device = CudaDevice.Open(options.Device);
                return (isNamed ? options.Accelerator : Accelerator.Cuda, device);
            }
            catch (Exception e) when (e is OnnxRuntimeException or CudaException or EntryPointNotFoundException)
            {
                device?.Dispose();
                fault = Describe(e.Message);
                if (isNamed)
                    throw new AcceleratorException($"Inference:Accelerator is {options.Accelerator}, but it does not start: {fault}", e);
            }
        }
        Log.AutoCpu(log, fault);
        return (Accelerator.Cpu, null);
    }

    /// <summary>What does not start, in one line: of a library that is missing, its name and where it comes from.</summary>
    internal static string Describe(string message) => MissingLibrary().Match(message) is { Success: true } missing
        ? $"{missing.Groups["name"].Value} is not on this machine; install CUDA 13 and cuDNN 9 (and TensorRT 10 for TensorRt), "
            + "or name their directories in LD_LIBRARY_PATH"
        : message.ReplaceLineEndings(" ").Trim();

    [GeneratedRegex(@"(?<name>lib\S+\.so\S*): cannot open shared object file")]
    private static partial Regex MissingLibrary();

    private static string Number(long value) => value.ToString(CultureInfo.InvariantCulture);

    private static partial class Log
    {
        [LoggerMessage(101, LogLevel.Information, "Inference:Accelerator is Auto and takes the CPU: {Reason}.")]
        public static partial void AutoCpu(ILogger log, string reason);
    }
}
