using System.Diagnostics;
using Confluent.Kafka;
using Microsoft.Extensions.Logging;
using OutlierPipeline.Telemetry;

namespace OutlierPipeline.Pipeline;

/// <summary>What became of a transaction.</summary>
/// <param name="Fault">Why it was aborted; null where it was committed.</param>
/// <param name="Refused">The records that are to blame, each with its own reason; none where the brokers or the group are.</param>
internal readonly record struct TransactionOutcome(Error? Fault, IReadOnlyList<(OutgoingRecord Record, Error Error)> Refused);

/// <summary>Carries out transactions, one after the other.</summary>
internal interface ITransactionProducer : IDisposable
{
    /// <summary>Takes the transactional id over from whoever had it, and ends what they left open. Tries again until it succeeds.</summary>
    /// <exception cref="PipelineException">It may not be used.</exception>
    void Begin(CancellationToken cancellation);

    /// <summary>Writes records and offsets together, or not at all.</summary>
    /// <param name="member">Whose offsets they are: a member that the group has given up writes nothing.</param>
    /// <exception cref="PipelineException">The id was taken over by another, or the like: nothing can be written any more.</exception>
    TransactionOutcome Run(IReadOnlyList<OutgoingRecord> records, IReadOnlyList<TopicPartitionOffset> offsets,
        IConsumerGroupMetadata member, CancellationToken cancellation);
}

/// <inheritdoc cref="ITransactionProducer"/>
internal sealed partial class TransactionProducer : ITransactionProducer
{
    /// <summary>Calls are this short and are gone on with, so that a stop does not wait for absent brokers.</summary>
    private static readonly TimeSpan Slice = TimeSpan.FromMilliseconds(500);

    /// <summary>Where a group's coordinator is gone librdkafka may ignore a call's time for ever (its issues 5456 and 5511).</summary>
    private static readonly TimeSpan LongestSlice = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(20);
    private readonly string _id;
    private readonly KafkaOptions _options;
    private readonly BrokerHealth _health;
    private readonly ILogger _log;
    private readonly TransactionCalls _calls;
    private IProducer<byte[], byte[]> _producer;
    private readonly Lock _gate = new();

    /// <summary>Of the transaction that runs: records that the client still has, and those that it could not deliver.</summary>
    private readonly HashSet<OutgoingRecord> _sent = new(ReferenceEqualityComparer.Instance);
    private readonly List<(OutgoingRecord Record, Error Error)> _failed = [];

    public TransactionProducer(KafkaOptions options, BrokerHealth health, ILogger log)
    {
        // Replicas without a name of their own may not share an id, or each would fence the other.
        _id = $"{options.GroupId}-{options.Instance ?? Guid.NewGuid().ToString("N")[..12]}";
        (_options, _health, _log) = (options, health, log);
        _calls = new TransactionCalls(_id, LongestSlice, health, log);
        _producer = KafkaClients.Transactional(options, _id, health);
    }

    public void Begin(CancellationToken cancellation)
    {
        // Begun anew, attempt after attempt, it is told once.
        if (_health.IsNews("transactions of " + _id)) Log.Beginning(_log, _id);
        _calls.Persist(() => _producer.InitTransactions(Slice), cancellation);
    }

    public TransactionOutcome Run(IReadOnlyList<OutgoingRecord> records, IReadOnlyList<TopicPartitionOffset> offsets,
        IConsumerGroupMetadata member, CancellationToken cancellation)
    {
        lock (_gate) _failed.Clear();
        long begun = Stopwatch.GetTimestamp();
        Error fault;
        try
        {
            _producer.BeginTransaction();
            foreach (var record in records) Produce(record, cancellation);
            // All of it is with the brokers before the offsets are: a successor that is told to wait for the offsets finds the rest.
            if (Settle(record => record.Count == 0 || _failed.Count > 0, cancellation) is { } refused) fault = Cause(refused);
            else
            {
                _calls.Persist(() => _producer.SendOffsetsToTransaction(offsets, member, Slice), cancellation);
                _calls.Persist(() => _producer.CommitTransaction(Slice), cancellation);
                PipelineTelemetry.RecordStage(Stage.Commit, Stopwatch.GetElapsedTime(begun));
                foreach (var record in records) PipelineTelemetry.CountSent(record.Target.Topic);
                return new TransactionOutcome(null, []);
            }
        }
        catch (KafkaException e) when (!e.Error.IsFatal && e.Error.Code != ErrorCode.Local_Fatal)
        {
            fault = e.Error;
        }
        catch (KafkaException e)
        {
            throw Fatal(e.Error);
        }
        Abort(fault, cancellation);
        (OutgoingRecord, Error)[] blamed;
        lock (_gate) blamed = [.. _failed.Where(failed => IsOwn(failed.Error))];
        if (blamed.Length == 0 && fault.Code == ErrorCode.TopicAuthorizationFailed)
        {
            // The transaction says that some topic of it may not be written, and not which.
            string[] topics = [.. records.Select(record => record.Target.Topic).Distinct()];
            var refusing = TopicRights.Refusing(_options, _health, topics, cancellation);
            var error = new Error(ErrorCode.TopicAuthorizationFailed);
            blamed = [.. records.Where(record => refusing.Contains(record.Target.Topic)).Select(record => (record, error))];
        }
        return new TransactionOutcome(blamed.Length > 0 ? blamed[0].Item2 : fault, blamed);
    }

    public void Dispose()
    {
        // With a call that does not come back its end would not either: it is left to the process's.
        if (!_calls.IsLost) _producer.Dispose();
    }

    /// <summary>Whether a record failed by itself, and not with its transaction.</summary>
    internal static bool IsOwn(Error error) => error.Code is not (ErrorCode.Local_PurgeQueue or ErrorCode.Local_PurgeInflight
        or ErrorCode.Local_State);

    private void Produce(OutgoingRecord record, CancellationToken cancellation)
    {
        lock (_gate) _sent.Add(record);
        while (true)
        {
            cancellation.ThrowIfCancellationRequested();
            try
            {
                _producer.Produce(record.Target, record.Message, report => OnReport(record, report.Error));
                return;
            }
            catch (ProduceException<byte[], byte[]> e) when (e.Error.Code == ErrorCode.Local_QueueFull)
            {
                Thread.Sleep(Look);
            }
            catch (ProduceException<byte[], byte[]> e)
            {
                // Too large, or the transaction has failed already.
                OnReport(record, e.Error);
                if (!IsOwn(e.Error) || e.Error.IsFatal) throw;
                return;
            }
        }
    }

    private void OnReport(OutgoingRecord record, Error error)
    {
        lock (_gate)
        {
            _sent.Remove(record);
            if (error.IsError) _failed.Add((record, error));
        }
    }

    /// <summary>Waits for what the brokers say of the records.</summary>
    /// <returns>Why one was refused; null if none was.</returns>
    private Error? Settle(Func<HashSet<OutgoingRecord>, bool> until, CancellationToken cancellation)
    {
        while (true)
        {
            cancellation.ThrowIfCancellationRequested();
            lock (_gate)
            {
                if (until(_sent)) return _failed.Count > 0 ? _failed[0].Error : null;
            }
            _producer.Flush(Look);
        }
    }

    private void Abort(Error cause, CancellationToken cancellation)
    {
        try
        {
            _calls.Persist(() => _producer.AbortTransaction(Slice), cancellation);
        }
        catch (KafkaException e) when (cause.Code == ErrorCode.TopicAuthorizationFailed && e.Error.Code == ErrorCode.InvalidTxnState)
        {
            // Refused with its first partitions, it had not begun for the brokers: the client cannot end it, and gives up for good.
            _producer.Dispose();
            lock (_gate) _sent.Clear();
            _producer = KafkaClients.Transactional(_options, _id, _health);
            Begin(cancellation);
        }
        catch (KafkaException e)
        {
            throw Fatal(e.Error);
        }
        // Each record is told of: none may be taken for one of the next transaction.
        Settle(sent => sent.Count == 0, cancellation);
    }

    /// <summary>Why the transaction failed, where a record says no more than that it did.</summary>
    private Error Cause(Error refused)
    {
        if (IsOwn(refused)) return refused;
        try
        {
            // Refused while one is open, and with the cause where that one has failed.
            _producer.BeginTransaction();
        }
        catch (KafkaException e) when (e.Error.Code is not (ErrorCode.Local_State or ErrorCode.Local_Fatal) && !e.Error.IsFatal)
        {
            return e.Error;
        }
        catch (KafkaException)
        {
            // It says no more either.
        }
        return refused;
    }

    /// <remarks>Of an unknown state is a transaction that the brokers have ended meanwhile.</remarks>
    private PipelineException Fatal(Error error) => new(error.Code is ErrorCode.Local_Fenced or ErrorCode.ProducerFenced
        or ErrorCode.InvalidProducerEpoch or ErrorCode.InvalidProducerIdMapping or ErrorCode.InvalidTxnState
        ? $"the transactional id {_id} was taken over: by another replica of the same Kafka:InstanceId, or by the brokers, since " +
            $"this one was silent for longer than transaction.timeout.ms ({error.Reason}). Nothing that was open is seen; the next start " +
            "goes on at the last commit"
        : $"transactions cannot go on ({error.Reason}); the next start goes on at the last commit");

    private static partial class Log
    {
        [LoggerMessage(260, LogLevel.Information, "Results are written in transactions, as {Id}.")]
        public static partial void Beginning(ILogger log, string id);
    }
}
