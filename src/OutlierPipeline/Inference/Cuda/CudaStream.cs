namespace OutlierPipeline.Inference.Cuda;

/// <summary>A queue of work of one device, and the memory that belongs to it.</summary>
internal sealed class CudaStream : IDisposable
{
    public CudaStream(CudaDevice device)
    {
        Device = device;
        Runtime.SetDevice(device.Ordinal);
        Handle = Runtime.CreateStream();
    }

    public CudaDevice Device { get; }

    public CudaRuntime Runtime => Device.Runtime;

    /// <summary>The <c>cudaStream_t</c>.</summary>
    public nint Handle { get; private set; }

    /// <summary>Makes the device that of the calling thread.</summary>
    public void Enter() => Runtime.SetDevice(Device.Ordinal);

    /// <summary>Blocks until everything that was queued is done.</summary>
    /// <exception cref="CudaException">Something of it failed.</exception>
    public void Synchronize() => Runtime.Synchronize(Handle);

    public void Dispose()
    {
        if (Handle != 0) Runtime.DestroyStream(Handle);
        Handle = 0;
    }
}
