using System.Runtime.InteropServices;

namespace OutlierPipeline.IntegrationTests.Support;

/// <summary>Signals to processes, by Linux's numbers.</summary>
internal static class Signals
{
    /// <summary>Stops a process where it is, until <see cref="Continue"/>.</summary>
    public const int Stop = 19;

    public const int Continue = 18;

    /// <summary>Asks a process to end.</summary>
    public const int Terminate = 15;

    public static void Send(int process, int signal) => Assert.Equal(0, Kill(process, signal));

    [DllImport("libc", EntryPoint = "kill")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Kill(int process, int signal);
}
