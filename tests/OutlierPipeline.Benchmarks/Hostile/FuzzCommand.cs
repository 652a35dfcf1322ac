using System.Globalization;

namespace OutlierPipeline.Benchmarks.Hostile;

/// <summary><c>fuzz</c>: hostile input by the million, for all targets or one.</summary>
internal static class FuzzCommand
{
    /// <returns>0, or 1 where something was found.</returns>
    public static int Run(string[] arguments)
    {
        string? only = null;
        int seed = Environment.TickCount & 0xffffff;
        long first = 0;
        long executions = long.MaxValue;
        double? seconds = null;
        for (int i = 0; i < arguments.Length; i += 2)
        {
            string value = i + 1 < arguments.Length ? arguments[i + 1] : "";
            switch (arguments[i])
            {
                case "--target": only = value; break;
                case "--seed": seed = int.Parse(value, CultureInfo.InvariantCulture); break;
                case "--first": first = long.Parse(value, CultureInfo.InvariantCulture); break;
                case "--executions": executions = long.Parse(value, CultureInfo.InvariantCulture); break;
                case "--seconds": seconds = double.Parse(value, CultureInfo.InvariantCulture); break;
                default: return Refuse($"{arguments[i]} is not known");
            }
        }
        if (executions == long.MaxValue) seconds ??= 60;
        var targets = HostileTarget.All().Where(target => only is null || target.Name == only).ToList();
        if (targets.Count == 0) return Refuse($"there is no target {only}");
        int findings = 0;
        foreach (var target in targets)
        {
            var atMost = seconds is { } given ? TimeSpan.FromSeconds(given / targets.Count) : TimeSpan.MaxValue;
            long share = executions == long.MaxValue ? long.MaxValue / 2 : executions;
            var (ran, found) = Run(target, seed, first, share, atMost);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{target.Name}: {ran} executions, seed {seed}"));
            findings += found.Count;
            foreach (var finding in found) Console.WriteLine($"FOUND {finding}");
        }
        return findings == 0 ? 0 : 1;
    }

    private static (long Ran, IReadOnlyList<Finding> Found) Run(HostileTarget target, int seed, long first, long executions,
        TimeSpan atMost)
    {
        if (!target.IsNative)
        {
            var (ran, finding) = HostileInput.Run(target, seed, first, executions, atMost);
            return (ran, finding is null ? [] : [finding]);
        }
        using var process = new HostileProcess(typeof(FuzzCommand).Assembly.Location, target);
        return process.Run(seed, first, executions, atMost);
    }

    private static int Refuse(string why)
    {
        Console.Error.WriteLine($"{why}; expected fuzz [--target NAME] [--seed S] [--first I] [--executions N a target] [--seconds N]");
        return 2;
    }
}
