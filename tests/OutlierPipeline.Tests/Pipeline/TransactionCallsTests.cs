using Confluent.Kafka;
using Microsoft.Extensions.Logging.Abstractions;
using OutlierPipeline.Pipeline;

namespace OutlierPipeline.Tests.Pipeline;

/// <summary>What becomes of a transactional client's calls that the brokers do not answer.</summary>
public sealed class TransactionCallsTests
{
    private static readonly KafkaOptions Options = new() { BootstrapServers = "127.0.0.1:1" };

    [Fact]
    public void A_call_that_does_not_come_back_is_given_up_in_one_line_and_its_client_is_left_alone()
    {
        using var never = new ManualResetEventSlim();
        var calls = Calls(TimeSpan.FromMilliseconds(50));
        var stopped = Assert.Throws<PipelineException>(() => calls.Persist(() => never.Wait(), Cancellation));
        Assert.Equal("transactions of gate-1 stand still; the next start goes on at the last commit", stopped.Message);
        Assert.True(calls.IsLost);
        never.Set();
    }

    [Fact]
    public void A_call_is_made_again_while_the_brokers_do_not_answer_and_ends_with_their_answer()
    {
        var calls = Calls(TimeSpan.FromMinutes(1));
        int made = 0;
        calls.Persist(() =>
        {
            if (++made < 3) throw new KafkaRetriableException(new Error(ErrorCode.Local_TimedOut));
        }, Cancellation);
        Assert.Equal(3, made);
        Assert.Throws<KafkaException>(() => calls.Persist(() => throw new KafkaException(ErrorCode.ProducerFenced), Cancellation));
        Assert.False(calls.IsLost);
    }

    [Fact]
    public void A_stop_ends_what_is_made_again_and_again()
    {
        using var stop = new CancellationTokenSource();
        var calls = Calls(TimeSpan.FromMinutes(1));
        Assert.Throws<OperationCanceledException>(() => calls.Persist(() =>
        {
            stop.Cancel();
            throw new KafkaRetriableException(new Error(ErrorCode.Local_TimedOut));
        }, stop.Token));
    }

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private static TransactionCalls Calls(TimeSpan longest) =>
        new("gate-1", longest, new BrokerHealth(Options, NullLogger.Instance), NullLogger.Instance);
}
