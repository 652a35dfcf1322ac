using Confluent.Kafka;
using OutlierPipeline.Pipeline;

namespace OutlierPipeline.Tests.Pipeline;

/// <summary>Assignments, epochs and reasons to pause, without a broker.</summary>
public sealed class PartitionTableTests
{
    private static readonly TopicPartition One = new("camera.frames", 1);
    private static readonly TopicPartition Two = new("camera.frames", 2);
    private readonly PartitionTable _table = new();

    [Fact]
    public void An_assignment_pauses_until_it_is_restored()
    {
        Begin(One);
        Assert.Equal(PauseReason.Restore, _table.Reasons(One));
        Assert.Equal(1, _table.Paused(PauseReason.Restore));
        Assert.True(_table.Resume(One, PauseReason.Restore));
        Assert.Equal(PauseReason.None, _table.Reasons(One));
    }

    [Fact]
    public void A_partition_is_resumed_with_its_last_reason_and_no_sooner()
    {
        Begin(One);
        Assert.False(_table.Pause(One, PauseReason.Backpressure));
        Assert.False(_table.Pause(One, PauseReason.Backpressure));
        Assert.False(_table.Resume(One, PauseReason.Restore));
        Assert.False(_table.Resume(One, PauseReason.DeadLetter));
        Assert.True(_table.Resume(One, PauseReason.Backpressure));
        // And the first reason of one that is read pauses it.
        Assert.True(_table.Pause(One, PauseReason.DeadLetter));
        Assert.Equal(0, _table.Paused(PauseReason.Backpressure));
    }

    [Fact]
    public void A_rewind_ends_the_epoch_and_takes_its_reasons_with_it()
    {
        var first = Begin(One);
        _table.Pause(One, PauseReason.DeadLetter);
        _table.End(first);
        Assert.False(first.IsCurrent);
        Assert.Null(_table.Of(One));
        Assert.Equal(0, _table.Paused(PauseReason.DeadLetter));
        var second = Begin(One, start: 7);
        Assert.Equal((2, 7L), (second.Epoch, second.Ledger.Next));
        Assert.Equal(PauseReason.Restore, _table.Reasons(One));
        // What is told of the first, late, does not end the second.
        _table.End(first);
        Assert.Same(second, _table.Of(One));
        Assert.True(second.IsCurrent);
    }

    [Fact]
    public void Epochs_count_for_each_partition_and_go_on_after_it_was_away()
    {
        _table.End(Begin(One));
        _table.End(Begin(One));
        Assert.Equal(1, Begin(Two).Epoch);
        Assert.Equal(3, Begin(One).Epoch);
    }

    [Fact]
    public void What_is_asked_for_an_assignment_that_has_ended_is_dropped()
    {
        var first = Begin(One);
        var other = Begin(Two);
        _table.Post(first, PartitionAction.Rewind);
        _table.Post(other, PartitionAction.Pause, PauseReason.DeadLetter);
        _table.End(first);
        Begin(One);
        Assert.Equal([new PartitionRequest(other, PartitionAction.Pause, PauseReason.DeadLetter)], _table.Take());
        Assert.Empty(_table.Take());
    }

    [Fact]
    public void What_is_asked_for_meanwhile_waits_for_the_next_time()
    {
        var assignment = Begin(One);
        _table.Post(assignment, PartitionAction.Fetch, offset: 3);
        var taken = new List<PartitionRequest>();
        foreach (var request in _table.Take())
        {
            taken.Add(request);
            // A rebalance under way: it is asked for again, and must not be tried at once for ever.
            _table.Post(assignment, PartitionAction.Fetch, offset: 3);
        }
        Assert.Single(taken);
        Assert.Single(_table.Take());
    }

    [Fact]
    public void The_list_of_assignments_that_somebody_holds_does_not_change()
    {
        var first = Begin(One);
        var held = _table.Current;
        Begin(Two);
        _table.End(first);
        Assert.Same(first, Assert.Single(held));
        Assert.Equal(Two, Assert.Single(_table.Current).Partition);
    }

    [Fact]
    public void Frames_in_flight_count_over_all_partitions_and_those_of_an_ended_epoch_do_not()
    {
        var first = Begin(One);
        var second = Begin(Two);
        first.Ledger.Add(0);
        first.Ledger.Add(1);
        second.Ledger.Add(0);
        Assert.Equal(3, _table.InFlight);
        _table.End(first);
        Assert.Equal(1, _table.InFlight);
    }

    private PartitionAssignment Begin(TopicPartition partition, long start = 0) =>
        _table.Begin(partition, start, end: 100, DateTimeOffset.UnixEpoch);
}
