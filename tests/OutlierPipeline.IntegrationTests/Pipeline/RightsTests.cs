using Confluent.Kafka;
using Confluent.Kafka.Admin;
using OutlierPipeline.IntegrationTests.Support;
using OutlierPipeline.Pipeline;

namespace OutlierPipeline.IntegrationTests.Pipeline;

/// <summary>On Apache Kafka: a right that is taken away while the service runs is named, and nothing is lost.</summary>
public sealed class RightsTests(SharedKafkaWithRights shared) : IClassFixture<SharedKafkaWithRights>
{
    private const int Partitions = 2;

    /// <summary>Who has no WRITE to a topic may still see that it is there, or not even that.</summary>
    [Theory]
    [InlineData(Delivery.AtLeastOnce, false)]
    [InlineData(Delivery.AtLeastOnce, true)]
    [InlineData(Delivery.ExactlyOnce, false)]
    [InlineData(Delivery.ExactlyOnce, true)]
    public async Task A_right_on_the_scores_that_is_taken_away_is_named_and_nothing_is_lost(Delivery delivery, bool isSeen)
    {
        var kafka = await shared.WithTopicsAsync(Partitions);
        using var cluster = new TestCluster(kafka, Partitions) { Group = $"rights-{delivery}-{isSeen}" };
        using var admin = kafka.Admin();
        // Of a test that failed.
        await AllowAsync(admin);
        var options = cluster.Options();
        await using var pipeline = new RunningPipeline(options with { Kafka = options.Kafka with { Delivery = delivery } });
        byte[][] frames = SmallFrames.Drive(1, 40);
        Send(0, 20);
        await pipeline.Until(() => cluster.Committed().Values.All(offset => offset == 10), "the first frames being committed");

        int lines = pipeline.Log.Messages.Count();
        var begun = DateTime.UtcNow;
        // A topic for which somebody has a right is nobody else's any more.
        var right = new AclBinding
        {
            Pattern = new ResourcePattern
            {
                Type = ResourceType.Topic,
                Name = TestCluster.Scores,
                ResourcePatternType = ResourcePatternType.Literal
            },
            Entry = new AccessControlEntry
            {
                Principal = isSeen ? "User:ANONYMOUS" : "User:another",
                Host = "*",
                Operation = isSeen ? AclOperation.Read : AclOperation.Write,
                PermissionType = AclPermissionType.Allow
            },
        };
        await admin.CreateAclsAsync([right]);
        int sent = 20;
        await pipeline.Until(() =>
        {
            // Frames go on coming.
            if (sent < 40) Send(sent++, sent);
            return pipeline.NotReady.Any(IsNamed);
        }, "the reason being named");
        TestContext.Current.TestOutputHelper?.WriteLine($"named after {(DateTime.UtcNow - begun).TotalSeconds:0.0} s");
        Send(sent, 40);
        // Long enough for several attempts, throughout which the reason stands.
        var until = DateTime.UtcNow.AddSeconds(5);
        int looks = 0;
        int silent = 0;
        await pipeline.Until(() =>
        {
            looks++;
            if (!pipeline.NotReady.Any(IsNamed)) silent++;
            return DateTime.UtcNow > until;
        }, "time passing");
        // An alert is logged at each attempt, since it is raised again: those lines are as many as the attempts, which come ever later.
        var (alerts, told) = (0, new List<string>());
        foreach (string line in pipeline.Log.Messages.Skip(lines))
        {
            if (line.Contains(": Alert ", StringComparison.Ordinal)) alerts++;
            else told.Add(line);
        }
        Assert.True(alerts <= 8 * Partitions, $"alerts were logged {alerts} times");
        TestContext.Current.TestOutputHelper?.WriteLine($"unnamed at {silent} of {looks} looks");
        TestContext.Current.TestOutputHelper?.WriteLine(string.Join('\n', told));
        Assert.Equal(0, silent);
        Assert.True(told.Count <= 8, $"{told.Count} lines were logged");
        Assert.Contains(told, IsNamed);

        await AllowAsync(admin);
        await pipeline.Until(() => cluster.Committed().Values.All(offset => offset >= 20), "everything being committed");
        await pipeline.Until(() => pipeline.NotReady.Count == 0, "the service being ready again");
        Assert.Contains(pipeline.Log.Messages, message => message.Contains("ood.scores can be written again", StringComparison.Ordinal));
        var scored = cluster.Scored();
        // At least once they may be repeated.
        Assert.Equal(Enumerable.Range(0, 40).Select(i => (i / 20, (long)(i % 20))),
            delivery == Delivery.ExactlyOnce ? scored : scored.Distinct());

        void Send(int from, int to)
        {
            for (int i = from; i < to; i++) cluster.Produce($"car-{i % 2}", frames[i], i % 2);
            cluster.Flush();
        }
    }

    /// <summary>Everyone may everything.</summary>
    private static async Task AllowAsync(IAdminClient admin) =>
        await admin.DeleteAclsAsync([new AclBindingFilter
        {
            PatternFilter = new ResourcePatternFilter
            {
                Type = ResourceType.Topic,
                Name = TestCluster.Scores,
                ResourcePatternType = ResourcePatternType.Literal
            },
            EntryFilter = new AccessControlEntryFilter { Operation = AclOperation.Any, PermissionType = AclPermissionType.Any }
        }]);

    private static bool IsNamed(string text) => text.Contains("ood.scores cannot be written", StringComparison.Ordinal)
        && text.Contains("not authorized", StringComparison.Ordinal);
}
