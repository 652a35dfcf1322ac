using Confluent.Kafka;
using OutlierPipeline.Pipeline;

namespace OutlierPipeline.Tests.Pipeline;

/// <summary>What waits of a partition for its next transaction.</summary>
public sealed class OutboxTests
{
    private readonly Outbox _outbox = new();
    private readonly List<(string Topic, ErrorCode Error)> _told = [];

    [Fact]
    public void Records_come_out_in_their_order_and_those_that_wait_for_a_frame_come_when_it_is_seen()
    {
        Add("a");
        Add("b", after: 7);
        Add("c");
        Assert.Equal(["a", "c"], Taken(7));
        Assert.Equal(["b"], Taken(8));
        Assert.Empty(Taken(8));
        Assert.Empty(_told);
    }

    [Fact]
    public void What_is_left_when_the_assignment_ends_and_what_comes_later_is_told_that_it_does_not_count()
    {
        Add("a");
        Taken(0);
        Add("b");
        _outbox.Close();
        Add("c");
        Assert.Equal([("b", ErrorCode.Local_PurgeQueue), ("c", ErrorCode.Local_PurgeQueue)], _told);
        Assert.Empty(Taken(0));
    }

    [Fact]
    public void It_is_withheld_until_everything_that_is_missing_is_here()
    {
        _outbox.Withhold();
        _outbox.Withhold();
        _outbox.Release();
        Assert.True(_outbox.IsWithheld);
        _outbox.Release();
        Assert.False(_outbox.IsWithheld);
    }

    [Theory]
    [InlineData(ErrorCode.MsgSizeTooLarge, true)]
    [InlineData(ErrorCode.TopicAuthorizationFailed, true)]
    [InlineData(ErrorCode.Local_MsgTimedOut, true)]
    [InlineData(ErrorCode.Local_PurgeQueue, false)]
    [InlineData(ErrorCode.Local_PurgeInflight, false)]
    [InlineData(ErrorCode.Local_State, false)]
    public void A_record_is_blamed_for_its_own_fault_and_not_for_its_transactions(ErrorCode code, bool isOwn) =>
        Assert.Equal(isOwn, TransactionProducer.IsOwn(new Error(code)));

    private void Add(string topic, long after = -1) => _outbox.Add(new OutgoingRecord(new TopicPartition(topic, 0),
        new Message<byte[], byte[]>(), error => _told.Add((topic, error.Code)), after));

    private List<string> Taken(long below)
    {
        var taken = new List<OutgoingRecord>();
        _outbox.Take(below, taken);
        return [.. taken.Select(record => record.Target.Topic)];
    }
}
