using System.Runtime.InteropServices;

namespace OutlierPipeline.Tests.Support;

/// <summary>Processor time of the calling thread: what other threads and processes do does not count into it.</summary>
internal static class ThreadTime
{
    private const int ThreadCpuTime = 3;

    /// <summary>How long some work keeps this thread's processor busy; the test is skipped where the system does not tell.</summary>
    public static TimeSpan Of(Action work)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "a thread's own processor time is read on Linux only");
        var begun = Now();
        work();
        return Now() - begun;
    }

    private static TimeSpan Now()
    {
        Assert.Equal(0, ClockGetTime(ThreadCpuTime, out var time));
        return TimeSpan.FromTicks(time.Seconds * TimeSpan.TicksPerSecond + time.Nanoseconds / 100);
    }

    [DllImport("libc", EntryPoint = "clock_gettime")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int ClockGetTime(int clock, out Timespec time);

    [StructLayout(LayoutKind.Sequential)]
    private struct Timespec
    {
        public long Seconds;
        public long Nanoseconds;
    }
}
