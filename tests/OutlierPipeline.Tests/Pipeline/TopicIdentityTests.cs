using Confluent.Kafka;
using OutlierPipeline.Pipeline;

namespace OutlierPipeline.Tests.Pipeline;

/// <summary>Brokers that do not answer say nothing of a topic: it is not taken for another one.</summary>
public sealed class TopicIdentityTests
{
    private string? _told;
    private bool _answers = true;

    [Fact]
    public async Task Without_an_answer_nothing_is_known_of_a_topic_whatever_was_told_before()
    {
        var identity = new TopicIdentity(Ask);
        _answers = false;
        identity.Begin();
        Assert.Null(await identity.IsAsync(known: null, Cancellation));
        Assert.Null(await identity.IsAsync("a", Cancellation));

        (_answers, _told) = (true, "a");
        Assert.True(await identity.IsAsync("a", Cancellation));

        _answers = false;
        Assert.Null(await identity.IsAsync("a", Cancellation));
        Assert.Equal("a", identity.Id);
    }

    [Fact]
    public async Task Another_id_is_another_topic()
    {
        var identity = new TopicIdentity(Ask);
        _told = "a";
        identity.Begin();
        Assert.Equal("a", await identity.AskNowAsync(insists: false, Cancellation));
        _told = "b";
        Assert.False(await identity.IsAsync("a", Cancellation));
        Assert.True(await identity.IsAsync("b", Cancellation));
    }

    [Fact]
    public async Task Brokers_that_tell_no_ids_vouch_for_no_topic()
    {
        var identity = new TopicIdentity(Ask);
        identity.Begin();
        Assert.Null(await identity.AskNowAsync(insists: true, Cancellation));
        Assert.False(await identity.IsAsync(known: null, Cancellation));
        Assert.False(await identity.IsAsync("a", Cancellation));
    }

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private Task<string?> Ask(TimeSpan timeout) => _answers
        ? Task.FromResult(_told)
        : Task.FromException<string?>(new KafkaException(ErrorCode.Local_TimedOut));
}
