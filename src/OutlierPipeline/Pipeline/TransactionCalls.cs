using Confluent.Kafka;
using Microsoft.Extensions.Logging;

namespace OutlierPipeline.Pipeline;

/// <summary>Calls of a transactional client, which are gone on with for as long as the brokers may still answer.</summary>
/// <param name="id">The client's transactional id.</param>
/// <param name="longest">What takes longer does not come back any more.</param>
internal sealed partial class TransactionCalls(string id, TimeSpan longest, BrokerHealth health, ILogger log)
{
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(20);

    /// <summary>Whether a call did not come back: the client may not be disposed of, which would wait for it.</summary>
    public bool IsLost { get; private set; }

    /// <summary>Makes a call, again and again while the brokers do not answer within the time that it gives them.</summary>
    /// <exception cref="PipelineException">The call does not come back, or the id may not be used.</exception>
    /// <exception cref="KafkaException">It failed for good.</exception>
    public void Persist(Action call, CancellationToken cancellation)
    {
        while (true)
        {
            cancellation.ThrowIfCancellationRequested();
            try
            {
                var running = Task.Run(call, CancellationToken.None);
                IsLost = Task.WaitAny([running], longest) < 0;
                if (IsLost) throw new PipelineException($"transactions of {id} stand still; the next start goes on at the last commit");
                running.GetAwaiter().GetResult();
                return;
            }
            catch (KafkaRetriableException e)
            {
                if (e.Error.Code != ErrorCode.Local_TimedOut) Thread.Sleep(Look);
                if (health.IsNews("transaction " + e.Error.Code)) Log.Waiting(log, e.Error.Reason);
            }
            catch (KafkaException e) when (e.Error.Code == ErrorCode.TransactionalIdAuthorizationFailed)
            {
                throw new PipelineException($"Kafka:Delivery=ExactlyOnce needs the transactional id {id}, and this user may not WRITE " +
                    "to it; 'outlier check' says how to allow it");
            }
        }
    }

    private static partial class Log
    {
        [LoggerMessage(261, LogLevel.Warning, "A transaction waits for Kafka: {Reason}.")]
        public static partial void Waiting(ILogger log, string reason);
    }
}
