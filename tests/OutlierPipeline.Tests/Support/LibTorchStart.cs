using System.Runtime.CompilerServices;
using OutlierPipeline.Training;

namespace OutlierPipeline.Tests.Support;

/// <summary>libtorch is set up once, before any test: its switches hold for the whole process, and tests run beside each other.</summary>
internal static class LibTorchStart
{
    [ModuleInitializer]
    internal static void Begin()
    {
        string? directory = Environment.GetEnvironmentVariable("LIBTORCH_DIR");
        LibTorch.Prepare(directory);
        LibTorch.LeaveOutOneDnn(directory);
    }
}
