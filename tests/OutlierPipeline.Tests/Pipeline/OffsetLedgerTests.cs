using CsCheck;
using OutlierPipeline.Pipeline;

namespace OutlierPipeline.Tests.Pipeline;

public sealed class OffsetLedgerTests
{
    [Fact]
    public void The_frontiers_never_pass_an_unfinished_frame_whatever_the_order_and_the_holes()
    {
        var gaps = Gen.Int[1, 5].Array[1, 200];
        Gen.Select(gaps, Gen.Int).Sample((steps, seed) =>
        {
            var ledger = new OffsetLedger(10);
            var offsets = new List<long>();
            long next = 9;
            foreach (int step in steps) offsets.Add(next += step);
            foreach (long offset in offsets) ledger.Add(offset);
            var random = new Random(seed);
            var processed = new HashSet<long>();
            var acknowledged = new HashSet<long>();
            var events = offsets.SelectMany(offset => new[] { offset, offset }).OrderBy(_ => random.Next()).ToArray();
            foreach (long offset in events)
            {
                // The first event of an offset is the detector's, the second the broker's.
                if (processed.Add(offset)) ledger.MarkProcessed(offset);
                else if (acknowledged.Add(offset)) ledger.MarkAcknowledged(offset);
                Assert.Equal(Expected(offsets, processed), ledger.ProcessedFrontier);
                Assert.Equal(Expected(offsets, acknowledged), ledger.AcknowledgedFrontier);
            }
            Assert.Equal(0, ledger.InFlight);
        }, iter: 300);
    }

    [Fact]
    public async Task A_waiter_is_released_when_everything_below_its_offset_is_acknowledged_and_not_before()
    {
        var ledger = new OffsetLedger(0);
        ledger.Add(0);
        ledger.Add(7);
        var waiting = ledger.WhenAcknowledged(8);
        ledger.MarkAcknowledged(7);
        Assert.False(waiting.IsCompleted);
        ledger.MarkAcknowledged(0);
        await waiting.WaitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(8, ledger.AcknowledgedFrontier);
    }

    [Fact]
    public void An_offset_that_was_taken_back_can_be_added_again()
    {
        var ledger = new OffsetLedger(3);
        ledger.Add(5);
        ledger.Undo(5);
        Assert.Equal(5, ledger.Next);
        ledger.Add(5);
        Assert.Equal(5, ledger.AcknowledgedFrontier);
        Assert.Throws<ArgumentOutOfRangeException>(() => ledger.Add(5));
        Assert.Throws<InvalidOperationException>(() => ledger.MarkAcknowledged(4));
    }

    private static long Expected(List<long> offsets, HashSet<long> done)
    {
        foreach (long offset in offsets)
        {
            if (!done.Contains(offset)) return offset;
        }
        return offsets[^1] + 1;
    }
}
