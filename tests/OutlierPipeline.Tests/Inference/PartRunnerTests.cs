using OutlierPipeline.Inference;

namespace OutlierPipeline.Tests.Inference;

public sealed class PartRunnerTests
{
    [Fact]
    public void Every_part_runs_once_on_a_thread_of_its_own()
    {
        using var runner = new PartRunner(3, "part");
        using var together = new Barrier(3);
        for (int round = 0; round < 100; round++)
        {
            int[] threads = new int[3];
            // Nobody passes before all have come: parts that ran one after the other would wait for ever.
            runner.Run(3, part =>
            {
                Assert.True(together.SignalAndWait(TimeSpan.FromSeconds(30)), "the parts do not run side by side");
                threads[part] = Environment.CurrentManagedThreadId;
            });
            Assert.Equal(3, threads.Distinct().Count());
        }
    }

    [Fact]
    public void A_part_that_fails_fails_the_run_when_the_others_have_ended_and_the_next_run_works()
    {
        using var runner = new PartRunner(2, "part");
        bool[] ran = new bool[2];
        var failure = Assert.Throws<InvalidOperationException>(() => runner.Run(2, part =>
        {
            ran[part] = true;
            if (part == 1) throw new InvalidOperationException("the device is gone");
        }));
        Assert.Equal("the device is gone", failure.Message);
        Assert.All(ran, Assert.True);
        int sum = 0;
        runner.Run(2, part => Interlocked.Add(ref sum, part + 1));
        Assert.Equal(3, sum);
    }
}
