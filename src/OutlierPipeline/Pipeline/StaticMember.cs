using System.Diagnostics;
using Confluent.Kafka;

namespace OutlierPipeline.Pipeline;

/// <summary>
/// Takes a static member out of its group for good, so that the others get its partitions at once and not after its session. librdkafka's
/// static members never leave when they are closed, and it has no call that removes one. But whoever joins under the same name takes the
/// member's place, and a member of the classic protocol that gives up its subscription leaves; also in a group of the consumer protocol.
/// </summary>
internal static class StaticMember
{
    /// <summary>How long that may take.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(20);

    /// <summary>Removes a member. One that still runs is fenced: its process ends.</summary>
    /// <param name="instance">The member's <c>Kafka:InstanceId</c>.</param>
    /// <returns>Whether it is gone; false where the brokers did not answer in time.</returns>
    /// <exception cref="KafkaException">It was refused.</exception>
    public static bool Remove(KafkaOptions options, string instance, BrokerHealth health)
    {
        bool hasJoined = false;
        using var consumer = KafkaClients.StandIn(options, instance, health, () => hasJoined = true);
        consumer.Subscribe(options.FramesTopic);
        var begun = Stopwatch.StartNew();
        if (!Until(() => hasJoined)) return false;
        consumer.Unsubscribe();
        // It has no id any more from when it asks to leave; closed before that, it would stay.
        bool hasLeft = Until(() => string.IsNullOrEmpty(consumer.MemberId));
        consumer.Close();
        return hasLeft;

        bool Until(Func<bool> condition)
        {
            while (!condition())
            {
                if (begun.Elapsed > Patience) return false;
                consumer.Consume(Poll);
            }
            return true;
        }
    }
}
