using System.Runtime.InteropServices;

namespace OutlierPipeline.IntegrationTests.Support;

/// <summary>Signals to processes, by Linux's numbers.</summary>
internal static class Signals
{
    /// <summary>Stops a process where it is, until <see cref="Continue"/>.</summary>
    public const int Stop = 19;

    public const int Continue = 18;

    /// <summary>SIGUSR1.</summary>
    public const int User1 = 10;

    /// <summary>Ends a process at once.</summary>
    public const int End = 9;

    /// <summary>Asks a process to end.</summary>
    public const int Terminate = 15;

    public static void Send(int process, int signal) => Assert.True(TrySend(process, signal), $"process {process} is not there");

    /// <returns>Whether the process was still there.</returns>
    public static bool TrySend(int process, int signal) => Kill(process, signal) == 0;

    [DllImport("libc", EntryPoint = "kill")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Kill(int process, int signal);
}
