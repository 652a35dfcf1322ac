using OutlierPipeline.Benchmarks.Hostile;
using OutlierPipeline.IntegrationTests.Support;

namespace OutlierPipeline.IntegrationTests.Service;

/// <summary>The first inputs of <c>fuzz</c>, the same in every run; docs/security.md says how many more were tried.</summary>
public sealed class HostileInputTests
{
    private const int Seed = 25;

    [Fact]
    public void No_parser_does_anything_but_read_or_refuse()
    {
        foreach (var target in HostileTarget.All().Where(target => !target.IsNative))
        {
            var (ran, finding) = HostileInput.Run(target, Seed, 0, 5_000, TimeSpan.MaxValue);
            Assert.True(finding is null, finding?.ToString());
            Assert.Equal(5_000, ran);
        }
    }

    [Fact]
    public void No_damaged_picture_breaks_a_decoder() => RunOutside("picture", 500);

    [Fact]
    public void No_damaged_package_does_anything_but_load_or_be_refused() => RunOutside("package", 200);

    [Fact]
    public void What_ends_the_process_is_contained_and_made_smaller_and_what_follows_runs_in_another()
    {
        var target = HostileTarget.Planted;
        long crash = Enumerable.Range(0, 10_000).First(i => HostileInput.InputOf(target, Seed, i).Contains((byte)'!'));
        using var process = new HostileProcess(Tool.Benchmarks, target);
        var (ran, findings) = process.Run(Seed, crash - 2, 4, TimeSpan.MaxValue);
        Assert.Equal(4, ran);
        var finding = Assert.Single(findings);
        Assert.Equal(crash, finding.Index);
        Assert.Contains("ended the process with 134: ", finding.Fault, StringComparison.Ordinal);
        Assert.Contains("planted", finding.Fault, StringComparison.Ordinal);
        Assert.Equal("!"u8.ToArray(), File.ReadAllBytes(finding.Reduced));
        File.Delete(finding.File);
        File.Delete(finding.Reduced);
    }

    [Fact]
    public void What_breaks_a_promise_is_found_and_made_again_from_its_seed_and_number()
    {
        var target = new HostileTarget("weak", ["{\"a\":1}"u8.ToArray()], input =>
        {
            if (input.Length > 8) throw new InvalidOperationException("too long");
        }, _ => false);
        var finding = HostileInput.Run(target, Seed, 0, 1_000, TimeSpan.FromMinutes(1)).Finding;
        Assert.NotNull(finding);
        byte[] input = File.ReadAllBytes(finding.File);
        File.Delete(finding.File);
        Assert.Contains("InvalidOperationException too long", HostileInput.FaultOf(target, input), StringComparison.Ordinal);
        var again = HostileInput.Run(target, Seed, finding.Index, 1, TimeSpan.FromMinutes(1)).Finding;
        Assert.Equal(finding, again);
        Assert.Equal(input, File.ReadAllBytes(again!.File));
        File.Delete(again.File);
    }

    private static void RunOutside(string name, long executions)
    {
        using var process = new HostileProcess(Tool.Benchmarks, HostileTarget.All().Single(target => target.Name == name));
        var (ran, findings) = process.Run(Seed, 0, executions, TimeSpan.MaxValue);
        Assert.True(findings.Count == 0, string.Join('\n', findings));
        Assert.Equal(executions, ran);
    }
}
