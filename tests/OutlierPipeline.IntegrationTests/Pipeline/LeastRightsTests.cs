using System.Text.RegularExpressions;
using Confluent.Kafka.Admin;
using OutlierPipeline.IntegrationTests.Support;

namespace OutlierPipeline.IntegrationTests.Pipeline;

/// <summary>On Apache Kafka: the rights that docs/kafka.md lists are enough for the whole service, and each of them is needed.</summary>
[Collection(KafkaWithListeners.Name)]
public sealed partial class LeastRightsTests(KafkaWithListeners kafka) : IDisposable
{
    private const string Group = "outlier-pipeline";
    private const string User = "least";

    /// <summary>Behind the drive's frames lies one that is no picture.</summary>
    private const int Last = 80;

    private readonly TestDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    /// <summary>The rows of the table; what each is named by in <c>/healthz/ready</c> or in the log when it lacks.</summary>
    public static TheoryData<string, string> Rows => new()
    {
        { "topic camera.frames READ", "camera.frames: Broker: Topic authorization failed" },
        { "topic ood.scores WRITE", "ood.scores: Broker: Topic authorization failed" },
        { "topic camera.frames.dlq WRITE", "camera.frames.dlq: Broker: Topic authorization failed" },
        { "topic ood.alerts READ",
            "alerts are not being read: ood.alerts: Fetch from broker 1 failed: Broker: Topic authorization failed" },
        { "topic ood.alerts WRITE", "ood.alerts cannot be written: not authorized" },
        { "topic ood.state READ", "ood.state cannot be read: not authorized" },
        { "topic ood.state WRITE", "ood.state cannot be written: not authorized" },
        { "group outlier-pipeline READ", "the group outlier-pipeline cannot be joined: not authorized" },
        { "transactional-id outlier-pipeline- WRITE", "ExactlyOnce needs the transactional id outlier-pipeline-" },
    };

    [Fact]
    public void The_table_in_the_docs_has_these_rights_and_no_others()
    {
        string[] rows = [.. File.ReadAllLines(Path.Combine(Repository.Root, "docs", "kafka.md"))
            .SkipWhile(line => !line.StartsWith("| resource |", StringComparison.Ordinal)).Skip(2)
            .TakeWhile(line => line.StartsWith('|')).Select(line => Row().Match(line)).Where(row => row.Success)
            .Select(row => $"{row.Groups[1].Value.Replace(' ', '-')} {row.Groups[2].Value} {row.Groups[3].Value}")];
        Assert.Equal(Rows.Select(row => row.Data.Item1).Order(), rows.Order());
    }

    [Theory]
    [InlineData("AtLeastOnce")]
    [InlineData("ExactlyOnce")]
    public async Task With_just_these_rights_the_service_does_all_its_work(string delivery)
    {
        using var cluster = new TestCluster(await kafka.WithTopicsAsync(1), 1);
        await AllowJustAsync([.. Needed(delivery)]);
        for (int life = 0; life < 2; life++)
        {
            await using var service = await StartAsync(cluster, delivery);
            if (life == 0) Send(cluster);
            await service.UntilAsync(() => Task.FromResult(cluster.Committed()[0] > Last), () => Told(service));
            // An alert, the history's own copy of it, a dead letter, and the state that the second start reads.
            await service.StoredAsync(1);
            await service.UntilAsync(async () => (await service.ReadyAsync()).StartsWith("ready", StringComparison.Ordinal),
                () => Told(service));
            if (life == 1) Assert.Contains(service.Log.Messages, message =>
                message.Contains("is restored: the state of 1 cameras was read", StringComparison.Ordinal));
        }
        Assert.Equal(Last, cluster.ReadAll(TestCluster.Scores).Count);
        Assert.Single(cluster.ReadAll(TestCluster.DeadLetters));
    }

    [Theory]
    [MemberData(nameof(Rows))]
    public async Task Without_one_of_them_the_service_says_what_lacks_and_goes_on_when_it_is_given(string right, string told)
    {
        LongTests.AskUnless(right is "topic ood.state READ" or "topic ood.alerts READ");
        using var cluster = new TestCluster(await kafka.WithTopicsAsync(1), 1);
        string delivery = right.StartsWith("transactional", StringComparison.Ordinal) ? "ExactlyOnce" : "AtLeastOnce";
        await AllowJustAsync([.. Needed(delivery).Where(one => one != right)]);
        // What there is to restore.
        cluster.Produce(TestCluster.State, "car-1", null);
        Send(cluster);
        await using var service = await StartAsync(cluster, delivery);
        await service.UntilAsync(async () => ((await service.ReadyAsync()) + string.Concat(service.Log.Messages))
            .Contains(told, StringComparison.Ordinal), () => Told(service));
        // Without a transactional id the process has ended by itself.
        if (delivery == "ExactlyOnce") return;
        Assert.Contains(told, await service.ReadyAsync(), StringComparison.Ordinal);
        await AllowJustAsync([.. Needed(delivery)]);
        await service.UntilAsync(() => Task.FromResult(cluster.Committed()[0] > Last), () => Told(service));
        await service.StoredAsync(1);
        await service.UntilAsync(async () => (await service.ReadyAsync()).StartsWith("ready", StringComparison.Ordinal),
            () => Told(service));
    }

    private static IEnumerable<string> Needed(string delivery) => Rows.Select(row => row.Data.Item1)
        .Where(right => delivery == "ExactlyOnce" || !right.StartsWith("transactional", StringComparison.Ordinal));

    private static string Told(RunningService service) => string.Join('\n', service.Log.Messages.TakeLast(40));

    private static void Send(TestCluster cluster)
    {
        cluster.ProduceDrive("car-1", SmallFrames.IntoFog);
        cluster.Produce("car-1", [1, 2, 3]);
        cluster.Flush();
    }

    private Task<RunningService> StartAsync(TestCluster cluster, string delivery) =>
        RunningService.BeginAsync(cluster, _directory.File("alerts.db"),
            [$"Kafka:BootstrapServers={kafka.Address("PLAIN")}", $"Kafka:GroupId={Group}", $"Kafka:Delivery={delivery}",
            "Kafka:CommitInterval=00:00:00.1",
            .. kafka.Login("PLAIN", User).Select(pair => $"Kafka:Client:{pair.Key}={pair.Value}")]);

    private async Task AllowJustAsync(string[] rights)
    {
        using var admin = (await kafka.RunningAsync()).Admin();
        var all = new AclBindingFilter
        {
            PatternFilter = new ResourcePatternFilter { Type = ResourceType.Any, ResourcePatternType = ResourcePatternType.Any },
            EntryFilter = new AccessControlEntryFilter
            {
                Principal = $"User:{User}",
                Operation = AclOperation.Any,
                PermissionType = AclPermissionType.Any
            }
        };
        await admin.CreateAclsAsync(rights.Select(Binding));
        var gone = (await admin.DescribeAclsAsync(all)).AclBindings.Where(binding => !rights.Select(Binding).Contains(binding)).ToList();
        if (gone.Count > 0) await admin.DeleteAclsAsync(gone.Select(binding => binding.ToFilter()));
    }

    private static AclBinding Binding(string right)
    {
        string[] parts = right.Split(' ');
        return new AclBinding
        {
            Pattern = new ResourcePattern
            {
                // librdkafka has a number for the third that the client's enumeration lacks.
                Type = parts[0] switch { "topic" => ResourceType.Topic, "group" => ResourceType.Group, _ => (ResourceType)5 },
                Name = parts[1],
                ResourcePatternType = parts[0] == "transactional-id" ? ResourcePatternType.Prefixed : ResourcePatternType.Literal
            },
            Entry = new AccessControlEntry
            {
                Principal = $"User:{User}",
                Host = "*",
                Operation = Enum.Parse<AclOperation>(parts[2], ignoreCase: true),
                PermissionType = AclPermissionType.Allow
            },
        };
    }

    /// <summary>The first two cells: what kind of resource, its name, and the operation.</summary>
    [GeneratedRegex(@"^\| (topic|group|transactional id) `([^`]*)`[^|]*\| `([A-Z]+)` \|")]
    private static partial Regex Row();
}
