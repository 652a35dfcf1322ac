using System.Buffers;
using System.Text;
using Confluent.Kafka;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using OutlierPipeline.Frames;
using OutlierPipeline.Pipeline;

namespace OutlierPipeline.Tests.Pipeline;

/// <summary>What goes into a transaction, and what becomes of it, without a broker.</summary>
public sealed class TransactionCommitterTests : IDisposable
{
    private static readonly KafkaOptions Options = new() { BootstrapServers = "nobody:1", Delivery = Delivery.ExactlyOnce };
    private readonly FakeTimeProvider _time = new();
    private readonly PartitionTable _table = new();
    private readonly Transactions _transactions = new();
    private readonly ResultPublisher _publisher;
    private readonly TransactionCommitter _committer;
    private readonly PartitionAssignment _one;
    private readonly PartitionAssignment _two;

    public TransactionCommitterTests()
    {
        var health = new BrokerHealth(Options, NullLogger.Instance, _time);
        var failure = new PipelineFailure();
        var writer = new OutboxWriter();
        _publisher = new ResultPublisher(Options, writer, new PayloadBudget(1000), _table, failure, _time, NullLogger.Instance);
        _committer = new TransactionCommitter(Options, _transactions, writer, _publisher, TimeSpan.FromDays(1), failure, _time, health,
            NullLogger.Instance);
        (_one, _two) = (Begin(1), Begin(2));
    }

    [Fact]
    public void Results_and_offset_go_together_and_a_frame_is_done_when_they_are_committed()
    {
        Score(_one, 0);
        Score(_one, 1);
        // Seen, and not yet done: a third is still on its way.
        _one.Ledger.Add(2);
        Assert.Equal(0, _one.Ledger.AcknowledgedFrontier);
        Round();
        Assert.Equal(["ood.scores[1]@0", "ood.scores[1]@1", "offset 1@2"], _transactions.Single());
        Assert.Equal((2L, 2L), (_one.Ledger.AcknowledgedFrontier, _one.Committed));
        Round();
        Assert.Single(_transactions.Carried);
    }

    [Fact]
    public void What_an_aborted_transaction_carried_is_carried_by_the_next_with_what_has_come()
    {
        Score(_one, 0);
        Score(_two, 0);
        _transactions.Fault = _ => (new Error(ErrorCode.IllegalGeneration), null);
        Round();
        Assert.Equal((0L, 0L), (_one.Committed, _one.Ledger.AcknowledgedFrontier));
        Assert.Contains("cannot be committed", _committer.Fault, StringComparison.Ordinal);
        _transactions.Fault = null;
        Score(_one, 1);
        Round();
        Assert.Equal(["ood.scores[1]@0", "ood.scores[1]@1", "ood.scores[2]@0", "offset 1@2", "offset 2@1"], _transactions.Carried[^1]);
        Assert.Equal(2, _one.Ledger.AcknowledgedFrontier);
        Assert.Null(_committer.Fault);
    }

    [Fact]
    public void A_partition_whose_dead_letter_is_refused_waits_and_the_others_go_on_in_the_same_round()
    {
        Score(_one, 0);
        DeadLetter(_two, 0, FrameError.Empty);
        Score(_two, 1);
        bool isRefusing = true;
        _transactions.Fault = record => isRefusing && record.Target.Topic == Options.DeadLetterTopic
            ? (new Error(ErrorCode.TopicAuthorizationFailed), record) : null;
        Round();
        Assert.Equal(["ood.scores[1]@0", "offset 1@1"], _transactions.Carried[^1]);
        Assert.Equal((1L, 0L), (_one.Committed, _two.Committed));
        Assert.Contains(_table.Take(), request => request is { Action: PartitionAction.Pause, Reason: PauseReason.DeadLetter });
        // Nothing of it is committed without its dead letter.
        Score(_one, 1);
        Round();
        Assert.Equal(["ood.scores[1]@1", "offset 1@2"], _transactions.Carried[^1]);
        // Tried again alone, so that the other is not held up, and it stays out while it fails.
        _time.Advance(TimeSpan.FromSeconds(1));
        Score(_one, 2);
        int before = _transactions.Carried.Count;
        UntilReleased(_two);
        Round();
        Assert.Equal(["ood.scores[1]@2", "offset 1@3"], _transactions.Carried[before]);
        Assert.All(_transactions.Carried[(before + 1)..], alone => Assert.DoesNotContain(alone, line => line.StartsWith("ood.scores[1]",
            StringComparison.Ordinal)));
        isRefusing = false;
        _time.Advance(TimeSpan.FromSeconds(20));
        UntilReleased(_two);
        Round();
        Assert.Equal(["ood.scores[2]@1", "camera.frames.dlq@0", "offset 2@2"], _transactions.Carried[^1]);
        Assert.Equal(2, _two.Ledger.AcknowledgedFrontier);
        Assert.Contains(_table.Take(), request => request is { Action: PartitionAction.Resume, Reason: PauseReason.DeadLetter });
    }

    [Fact]
    public void A_dead_letter_that_is_too_large_is_shortened_and_nothing_is_committed_without_it()
    {
        Score(_one, 0);
        DeadLetter(_two, 0, FrameError.Corrupt, payload: 100);
        _transactions.Fault = record => record.Message.Value is { Length: 100 } ? (new Error(ErrorCode.MsgSizeTooLarge), record) : null;
        Round();
        Assert.Equal((1L, 0L), (_one.Committed, _two.Committed));
        _time.Advance(TimeSpan.FromSeconds(1));
        Round();
        Assert.Equal(["camera.frames.dlq@0", "offset 2@1"], _transactions.Carried[^1]);
        Assert.Equal(1, _two.Ledger.AcknowledgedFrontier);
    }

    [Fact]
    public void A_partition_whose_result_is_refused_is_read_again_and_nothing_of_it_is_committed_before()
    {
        Score(_one, 0);
        Score(_two, 0);
        _transactions.Fault = record => record.Target is { Topic: "ood.scores", Partition.Value: 2 }
            ? (new Error(ErrorCode.NotEnoughReplicas), record) : null;
        Round();
        Assert.Equal((1L, 0L), (_one.Committed, _two.Committed));
        Assert.Contains(_table.Take(), request => request.Action == PartitionAction.Rewind && request.Assignment == _two);
        // Until the consumer's thread has done that, more may come of it.
        Score(_two, 1);
        Round();
        Assert.Equal(["ood.scores[1]@0", "offset 1@1"], _transactions.Carried[^1]);
        _table.End(_two);
        _transactions.Fault = null;
        var again = Begin(2);
        Score(again, 0);
        _time.Advance(TimeSpan.FromSeconds(1));
        Round();
        Assert.Equal(["ood.scores[2]@0", "offset 2@1"], _transactions.Carried[^1]);
    }

    [Fact]
    public void A_dead_letter_that_no_detector_saw_waits_for_the_frames_before_it()
    {
        _one.Ledger.Add(0);
        DeadLetter(_one, 1, FrameError.MissingCamera);
        Score(_one, 2);
        Round();
        Assert.Equal(["ood.scores[1]@2", "offset 1@0"], _transactions.Single());
        _one.Ledger.MarkProcessed(0);
        Round();
        Assert.Equal(["camera.frames.dlq@1", "offset 1@3"], _transactions.Carried[^1]);
    }

    [Fact]
    public void Nothing_of_an_assignment_that_has_ended_is_committed()
    {
        Score(_one, 0);
        Score(_two, 0);
        _transactions.Fault = _ => (new Error(ErrorCode.IllegalGeneration), null);
        Round();
        _transactions.Fault = null;
        _table.End(_one);
        Score(_one, 1);
        Round();
        Assert.Equal(["ood.scores[2]@0", "offset 2@1"], _transactions.Carried[^1]);
        Assert.Equal(0, _one.Committed);
    }

    [Fact]
    public void Results_of_a_member_that_has_left_stay_where_they_are()
    {
        Score(_one, 0);
        _committer.Round(_table.Current, () => null, TestContext.Current.CancellationToken);
        Assert.Empty(_transactions.Carried);
    }

    [Theory]
    [InlineData("outlier-0", true)]
    [InlineData("outlier-pipeline-12", true)]
    [InlineData("outlier", false)]
    [InlineData("outlier-7d9f8b6c5-x2x4v", false)]
    [InlineData("3f2a9c1d77e0", false)]
    [InlineData("outlier-24579", false)]
    public void Only_a_hosts_name_that_ends_in_an_ordinal_comes_back_after_a_restart(string host, bool stays) =>
        Assert.Equal(stays, KafkaOptions.EndsInOrdinal(host));

    public void Dispose()
    {
        _committer.Dispose();
        _publisher.Dispose();
    }

    private void Round() => _committer.Round(_table.Current, () => new Member(), TestContext.Current.CancellationToken);

    private PartitionAssignment Begin(int partition)
    {
        var assignment = _table.Begin(new TopicPartition(Options.FramesTopic, partition), 0, 0, _time.GetUtcNow());
        assignment.CompleteRestore();
        return assignment;
    }

    private void Score(PartitionAssignment assignment, long offset) => Do(assignment, offset, frame =>
        _publisher.Publish(frame, Options.ScoresTopic, Encoding.UTF8.GetBytes($"{offset}")));

    private void DeadLetter(PartitionAssignment assignment, long offset, FrameError error, int payload = 0) =>
        Do(assignment, offset, frame =>
    {
        frame.Error = error;
        frame.Payload = new RentedPayload(payload == 0 ? null : ArrayPool<byte>.Shared.Rent(payload), payload);
        _publisher.DeadLetter(frame);
    });

    private void Do(PartitionAssignment assignment, long offset, Action<ConsumedFrame> publish)
    {
        var frame = new ConsumedFrame { Assignment = assignment, Offset = offset, Key = new CameraKey("c", []), Camera = "c" };
        if (assignment.IsCurrent) assignment.Ledger.Add(offset);
        publish(frame);
        if (assignment.IsCurrent) assignment.Ledger.MarkProcessed(offset);
        _publisher.Complete(frame);
    }

    /// <summary>The dead letter comes back on a thread of the pool, once its time has come.</summary>
    private static void UntilReleased(PartitionAssignment assignment) =>
        Assert.True(SpinWait.SpinUntil(() => !assignment.Outbox.IsWithheld, TimeSpan.FromSeconds(10)), "no dead letter came back");

    private sealed class Member : IConsumerGroupMetadata;

    /// <summary>Commits what a test does not make fail.</summary>
    private sealed class Transactions : ITransactionProducer
    {
        /// <summary>What each transaction carried, aborted ones included.</summary>
        public List<string[]> Carried { get; } = [];

        /// <summary>Makes a transaction fail, for one of its records or for none.</summary>
        public Func<OutgoingRecord, (Error Error, OutgoingRecord? Refused)?>? Fault { get; set; }

        public string[] Single() => Assert.Single(Carried);

        public void Begin(CancellationToken cancellation)
        {
        }

        public TransactionOutcome Run(IReadOnlyList<OutgoingRecord> records, IReadOnlyList<TopicPartitionOffset> offsets,
            IConsumerGroupMetadata member, CancellationToken cancellation)
        {
            Carried.Add([.. records.Select(Describe), .. offsets.Select(offset =>
                $"offset {offset.Partition.Value}@{offset.Offset.Value}")]);
            var faults = records.Select(record => Fault?.Invoke(record)).OfType<(Error Error, OutgoingRecord? Refused)>().ToList();
            if (faults.Count == 0) return new TransactionOutcome(null, []);
            return new TransactionOutcome(faults[0].Error, [.. faults.Where(fault => fault.Refused is not null)
                .Select(fault => (fault.Refused!, fault.Error))]);
        }

        public void Dispose()
        {
        }

        private static string Describe(OutgoingRecord record) => record.Target.Partition == Partition.Any
            ? $"{record.Target.Topic}@{Encoding.UTF8.GetString(record.Message.Headers.GetLastBytes("source.offset"))}"
            : $"{record.Target.Topic}[{record.Target.Partition.Value}]@{Encoding.UTF8.GetString(record.Message.Value)}";
    }
}
