using OutlierPipeline.Inference;

namespace OutlierPipeline.Tests.Inference;

public sealed class PartPoolTests
{
    [Fact]
    public void Every_part_runs_once_on_a_thread_of_its_own()
    {
        using var pool = new PartPool(3, "part");
        using var together = new Barrier(3);
        int[] threads = new int[3];
        // Nobody passes before all have come: parts that ran one after the other would wait for ever.
        using var run = new PartRun(part =>
        {
            Assert.True(together.SignalAndWait(TimeSpan.FromSeconds(30)), "the parts do not run side by side");
            threads[part] = Environment.CurrentManagedThreadId;
        });
        for (int round = 0; round < 100; round++)
        {
            Array.Clear(threads);
            pool.Begin(run, 3);
            run.End();
            Assert.Equal(3, threads.Distinct().Count());
        }
    }

    [Fact]
    public void A_thread_that_is_through_goes_on_with_the_next_batch()
    {
        using var pool = new PartPool(2, "part");
        using var released = new ManualResetEventSlim();
        using var slow = new PartRun(part =>
        {
            if (part == 0) Assert.True(released.Wait(TimeSpan.FromSeconds(30)), "the next batch did not run meanwhile");
        });
        using var next = new PartRun(part =>
        {
            if (part == 1) released.Set();
        });
        pool.Begin(slow, 2);
        pool.Begin(next, 2);
        slow.End();
        next.End();
    }

    [Fact]
    public void A_part_that_fails_fails_the_run_when_the_others_have_ended_and_the_next_run_works()
    {
        using var pool = new PartPool(2, "part");
        bool[] ran = new bool[2];
        bool fails = true;
        using var run = new PartRun(part =>
        {
            ran[part] = true;
            if (fails && part == 1) throw new InvalidOperationException("the device is gone");
        });
        pool.Begin(run, 2);
        Assert.Equal("the device is gone", Assert.Throws<InvalidOperationException>(run.End).Message);
        Assert.All(ran, Assert.True);
        fails = false;
        pool.Begin(run, 2);
        run.End();
    }

    [Fact]
    public void A_pool_may_be_disposed_twice()
    {
        var pool = new PartPool(2, "part");
        pool.Dispose();
        pool.Dispose();
    }

    [Fact]
    public void Nothing_is_allocated_for_a_run()
    {
        using var pool = new PartPool(2, "part");
        using var run = new PartRun(_ => { });
        for (int i = 0; i < 1000; i++) Once();
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 1000; i++) Once();
        // A channel grows by segments, which it uses again.
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 2048);

        void Once()
        {
            pool.Begin(run, 2);
            run.End();
        }
    }
}
