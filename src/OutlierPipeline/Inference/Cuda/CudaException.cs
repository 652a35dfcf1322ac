namespace OutlierPipeline.Inference.Cuda;

/// <summary>
/// A call of CUDA failed: out of memory, the device lost, a kernel that went wrong. The context is not to be used again, so the process
/// must end.
/// </summary>
public sealed class CudaException(string message) : AcceleratorException(message);
