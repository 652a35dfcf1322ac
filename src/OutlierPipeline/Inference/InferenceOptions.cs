namespace OutlierPipeline.Inference;

/// <summary>What computes the network.</summary>
public enum Accelerator
{
    /// <summary>The fastest that is there; the log says which and why.</summary>
    Auto,
    Cpu,
    Cuda,
    TensorRt,
}

/// <summary>How exactly the network is computed; scores and densities are always float32.</summary>
public enum Precision
{
    /// <summary><see cref="Fp16"/> on a GPU, <see cref="Fp32"/> on a CPU, where half precision is slower.</summary>
    Auto,
    Fp32,
    Fp16,
}

/// <summary>Configuration section <c>Inference</c>.</summary>
public sealed record InferenceOptions
{
    /// <summary>
    /// What computes the network. An accelerator that is named and missing stops the start. <c>Auto</c> takes the fastest that is present;
    /// the log says which and why.
    /// </summary>
    public Accelerator Accelerator { get; init; } = Accelerator.Auto;

    /// <summary>
    /// Precision of the network. <c>Auto</c> takes <c>Fp16</c> on a GPU and <c>Fp32</c> on a CPU. Densities and scores are always computed
    /// in float32.
    /// </summary>
    public Precision Precision { get; init; } = Precision.Auto;

    /// <summary>Number of the GPU.</summary>
    public int Device { get; init; }

    /// <summary>Threads of a CPU, each of which computes a part of every batch; 0 takes one a core.</summary>
    public int Threads { get; init; }

    /// <summary>Whether a GPU runs each batch size as one CUDA graph, recorded at the start; off, it launches kernel by kernel.</summary>
    public bool CudaGraphs { get; init; } = true;

    /// <summary>Directory in which TensorRT keeps its engines. Without it they are built at every start, which takes minutes.</summary>
    public string EngineCache { get; init; } = "";

    /// <summary>Which frames get the second graph.</summary>
    public SecondOptions Second { get; init; } = new();

    /// <summary>Messages for what is out of range.</summary>
    public IEnumerable<string> Validate()
    {
        foreach (string fault in Second.Validate()) yield return fault;
        if (!Enum.IsDefined(Accelerator)) yield return $"Inference:Accelerator is {Accelerator}; expected Auto, Cpu, Cuda or TensorRt";
        if (!Enum.IsDefined(Precision)) yield return $"Inference:Precision is {Precision}; expected Auto, Fp32 or Fp16";
        if (Device is < 0 or > 63) yield return $"Inference:Device is {Device}; expected the number of a GPU, 0 or more";
        if (Threads is < 0 or > 1024) yield return $"Inference:Threads is {Threads}; expected 0 (one a core) to 1024";
    }
}
