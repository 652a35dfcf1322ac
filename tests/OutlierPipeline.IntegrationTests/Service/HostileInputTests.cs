using OutlierPipeline.Benchmarks.Hostile;

namespace OutlierPipeline.IntegrationTests.Service;

/// <summary>The first inputs of <c>fuzz</c>, the same in every run; docs/security.md says how many more were tried.</summary>
public sealed class HostileInputTests
{
    private const int Seed = 25;

    [Fact]
    public void No_parser_does_anything_but_read_or_refuse() => Run(target => target.Name is not ("picture" or "package"), 5_000);

    [Fact]
    public void No_damaged_picture_breaks_a_decoder() => Run(target => target.Name == "picture", 500);

    [Fact]
    public void No_damaged_package_does_anything_but_load_or_be_refused() => Run(target => target.Name == "package", 200);

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

    private static void Run(Func<HostileTarget, bool> which, long executions)
    {
        var targets = PackageTarget.WithPackages(HostileTarget.All()).Where(which).ToList();
        Assert.NotEmpty(targets);
        foreach (var target in targets)
        {
            var (ran, finding) = HostileInput.Run(target, Seed, 0, executions, TimeSpan.MaxValue);
            Assert.True(finding is null, finding?.ToString());
            Assert.Equal(executions, ran);
        }
    }
}
