using Confluent.Kafka;
using Microsoft.Extensions.Logging.Abstractions;
using OutlierPipeline.Pipeline;

namespace OutlierPipeline.Tests.Pipeline;

public sealed class WriteFaultsTests
{
    private static readonly Error Refused = new(ErrorCode.TopicAuthorizationFailed);

    [Fact]
    public void A_topic_that_cannot_be_written_is_named_until_each_of_its_partitions_is_written()
    {
        var faults = new WriteFaults(TimeProvider.System, NullLogger.Instance);
        Assert.Empty(faults.Now);
        Assert.True(faults.Add(At(0), "ood.scores", Refused));
        Assert.False(faults.Add(At(0), "ood.scores", Refused));
        Assert.True(faults.Add(At(1), "ood.scores", Refused));
        string reason = Assert.Single(faults.Now);
        Assert.StartsWith("ood.scores cannot be written: not authorized", reason, StringComparison.Ordinal);
        Assert.EndsWith("2 partitions wait and are read again", reason, StringComparison.Ordinal);
        faults.Remove(At(0));
        Assert.False(faults.Has(At(0)));
        Assert.Single(faults.Now);
        faults.Forget(At(1));
        Assert.Empty(faults.Now);
    }

    [Fact]
    public void Attempts_come_later_each_time_until_a_commit()
    {
        var backoff = new RewindBackoff();
        Assert.Equal([0, 0.25, 0.5, 1, 2, 4, 8, 15, 15], Enumerable.Range(0, 9).Select(_ => backoff.Next(At(0), 7).TotalSeconds));
        Assert.Equal(TimeSpan.Zero, backoff.Next(At(1), 7));
        Assert.Equal(TimeSpan.Zero, backoff.Next(At(0), 8));
    }

    private static TopicPartition At(int partition) => new("camera.frames", partition);
}
