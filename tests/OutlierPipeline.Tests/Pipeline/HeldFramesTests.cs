using Confluent.Kafka;
using OutlierPipeline.Pipeline;

namespace OutlierPipeline.Tests.Pipeline;

/// <summary>Frames for which there is no room keep their order and hold up no other partition.</summary>
public sealed class HeldFramesTests
{
    private readonly HeldFrames _held = new();
    private readonly PartitionAssignment _one = new(new TopicPartition("camera.frames", 1), 1, 0);
    private readonly PartitionAssignment _two = new(new TopicPartition("camera.frames", 2), 1, 0);
    private readonly List<(int Partition, long Offset)> _handedOn = [];

    [Fact]
    public void Frames_go_on_in_their_order_and_the_queue_is_gone_with_the_last()
    {
        // Offsets have holes where transactions and compaction left some.
        Hold(_one, 3, 4, 9);
        Assert.Equal(9, _held.LastOffset(_one.Partition));
        _held.Dispatch(_ => false, HandOn);
        Assert.Equal([(1, 3L), (1, 4L), (1, 9L)], _handedOn);
        Assert.True(_held.IsEmpty);
        Assert.Null(_held.LastOffset(_one.Partition));
    }

    [Fact]
    public void A_frame_that_finds_no_room_stays_first_and_the_other_partition_goes_on()
    {
        Hold(_one, 3, 4);
        Hold(_two, 7);
        _held.Dispatch(_ => false, frame => frame.Offset != 4 && HandOn(frame));
        Assert.Equal([(1, 3L), (2, 7L)], _handedOn.Order());
        Assert.True(_held.Has(_one.Partition));
        Assert.False(_held.Has(_two.Partition));
        Hold(_one, 5);
        _held.Dispatch(_ => false, HandOn);
        Assert.Equal([(1, 4L), (1, 5L)], _handedOn[^2..]);
    }

    [Fact]
    public void A_partition_that_is_being_restored_gives_nothing()
    {
        Hold(_one, 3);
        Hold(_two, 7);
        _held.Dispatch(partition => partition == _one.Partition, HandOn);
        Assert.Equal([(2, 7L)], _handedOn);
        Assert.Equal(3, _held.LastOffset(_one.Partition));
    }

    [Fact]
    public void What_is_dropped_at_a_rewind_comes_back_to_be_given_back_and_is_held_no_more()
    {
        Hold(_one, 3, 4);
        Assert.Equal([3L, 4L], _held.Drop(_one.Partition).Select(frame => frame.Offset));
        Assert.Empty(_held.Drop(_one.Partition));
        Assert.True(_held.IsEmpty);
        // The same offsets again, read anew.
        Hold(_one, 3);
        Assert.Equal(3, _held.LastOffset(_one.Partition));
    }

    private void Hold(PartitionAssignment assignment, params long[] offsets)
    {
        foreach (long offset in offsets)
            _held.Add(new ConsumedFrame { Assignment = assignment, Offset = offset, Key = new CameraKey("c", []), Camera = "c" });
    }

    private bool HandOn(ConsumedFrame frame)
    {
        _handedOn.Add((frame.Assignment.Partition.Partition.Value, frame.Offset));
        return true;
    }
}
