using System.Globalization;
using Confluent.Kafka;
using Confluent.Kafka.Admin;
using OutlierPipeline.IntegrationTests.Support;

namespace OutlierPipeline.IntegrationTests.Cli;

/// <summary>The tools on Apache Kafka with passwords and rights.</summary>
public sealed class SecuredBrokerTests(SecuredKafka kafka) : IClassFixture<SecuredKafka>, IDisposable
{
    /// <summary>librdkafka has a number for it that the client's enumeration lacks.</summary>
    private const ResourceType TransactionalId = (ResourceType)5;

    private readonly string _directory = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task A_wrong_password_is_said_in_the_brokers_words()
    {
        kafka.Needed();
        var check = await CheckAsync(SecuredKafka.Login("admin", "wrong"));
        Assert.Equal(1, check.Code);
        Assert.Contains("refuses the connection", check.Output, StringComparison.Ordinal);
        Assert.Contains("authentication failed", check.Output, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("does not answer", check.Output, StringComparison.Ordinal);
        var calibrate = await Tool.OutlierAsync("calibrate", "--model", Repository.StreetDemo, "--frames",
            $"kafka://{kafka.Servers}/camera.frames?{SecuredKafka.Query("admin", "wrong")}", "--out", At("model"));
        Assert.Equal(1, calibrate.Code);
        Assert.Contains("authentication failed", calibrate.Error, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task No_rights_and_not_there_are_told_apart_where_the_broker_lets_one()
    {
        kafka.Needed();
        string[] login = SecuredKafka.Login("nobody");
        var created = await CheckAsync(SecuredKafka.Login("admin"), "--create", "--partitions", "2", "--group", "of-admin");
        Assert.True(created.Code == 0, created.Output + created.Error);
        Has(created.Output, "permissions on ood.alerts: READ, WRITE, DESCRIBE", "permissions on group of-admin: READ",
            "idempotent writes: IDEMPOTENT_WRITE", "transactional id of-admin-check: WRITE");

        await File.WriteAllBytesAsync(At("1.jpg"), SmallFrames.Drive(1, 1)[0], TestContext.Current.CancellationToken);
        var sent = await Tool.OutlierAsync(["replay", "--input", _directory, "--camera", "car-1", "--bootstrap", kafka.Servers, "--client",
            .. SecuredKafka.Login("admin")]);
        Assert.True(sent.Code == 0, sent.Error);

        var none = await CheckAsync(login);
        Assert.Equal(1, none.Code);
        Assert.DoesNotContain("is missing.", none.Output, StringComparison.Ordinal);
        foreach (string topic in new[] { "camera.frames", "ood.scores", "ood.alerts", "ood.state", "camera.frames.dlq" })
            Has(none.Output, $"{topic}: may not be seen by this user, so that the broker does not say whether it is there");
        Has(none.Output, "permissions on group outlier-pipeline: READ and DESCRIBE is not allowed",
            "idempotent writes: this user may write to no topic", "transactional id outlier-pipeline-check: WRITE is not allowed");
        var exactly = await CheckAsync([.. login], "--exactly-once");
        Has(exactly.Output, "fault transactional id outlier-pipeline-check: WRITE is not allowed");
        exactly = await CheckAsync(SecuredKafka.Login("admin"), "--exactly-once", "--group", "of-admin");
        Has(exactly.Output, "transactional id of-admin-check: WRITE", "ood.scores replicas in sync: 1, at least 1 are needed",
            "transaction.timeout.ms: 10000");

        // May be seen, and no more: another topic that may be seen is not there.
        await kafka.AllowAsync(ResourceType.Topic, "camera.frames", ResourcePatternType.Prefixed, AclOperation.Describe);
        using (var admin = kafka.Admin()) await admin.DeleteTopicsAsync(["camera.frames.dlq"]);
        var seen = await CheckAsync(login);
        Has(seen.Output, "camera.frames: 2 partitions", "permissions on camera.frames: READ is not allowed",
            "camera.frames.dlq: is missing", "sampled frames: none could be read", "ood.state: may not be seen");

        var refused = await CheckAsync(login, "--create");
        Has(refused.Output, "camera.frames.dlq: could not be made", "ood.state: may not be seen");

        await kafka.AllowAsync(ResourceType.Topic, "camera.frames", ResourcePatternType.Prefixed, AclOperation.Read, AclOperation.Write,
            AclOperation.Create);
        foreach (string topic in new[] { "ood.scores", "ood.alerts", "ood.state" })
            await kafka.AllowAsync(ResourceType.Topic, topic, ResourcePatternType.Literal, AclOperation.Write);
        foreach (string topic in new[] { "ood.alerts", "ood.state" })
            await kafka.AllowAsync(ResourceType.Topic, topic, ResourcePatternType.Literal, AclOperation.Read);
        await kafka.AllowAsync(ResourceType.Group, "outlier-pipeline", ResourcePatternType.Literal, AclOperation.Read);
        await kafka.AllowAsync(TransactionalId, "outlier-pipeline", ResourcePatternType.Prefixed, AclOperation.Write);
        var all = await CheckAsync(login, "--create");
        Assert.True(all.Code == 0, all.Output + all.Error);
        Has(all.Output, "camera.frames.dlq: made with 2 partitions", "permissions on ood.alerts: READ, WRITE, DESCRIBE",
            "permissions on group outlier-pipeline: READ", "idempotent writes: allowed by WRITE on a topic", "1 can be scored",
            "transactional id outlier-pipeline-check: WRITE");
    }

    [Fact]
    public async Task Replay_names_the_frames_that_are_too_large_for_the_topic_and_sends_the_others()
    {
        kafka.Needed();
        const string Topic = "small.frames";
        using (var admin = kafka.Admin())
            await admin.CreateTopicsAsync([new TopicSpecification { Name = Topic, NumPartitions = 1, ReplicationFactor = 1,
                Configs = new Dictionary<string, string> { ["max.message.bytes"] = "60000" } }]);
        byte[][] frames = SmallFrames.Drive(5, 12);
        // As many bytes as a JPEG may have behind its end: 50,000 fit, and two of them in one batch would not; 70,000 do not.
        foreach (int i in new[] { 3, 4, 5 }) Array.Resize(ref frames[i], 50_000);
        foreach (int i in new[] { 6, 9 }) Array.Resize(ref frames[i], 70_000);
        // Larger than librdkafka sends by default.
        Array.Resize(ref frames[10], 2_000_000);
        for (int i = 0; i < frames.Length; i++)
            await File.WriteAllBytesAsync(At(string.Create(CultureInfo.InvariantCulture, $"{i}.jpg")), frames[i],
                TestContext.Current.CancellationToken);
        var replay = await Tool.OutlierAsync(["replay", "--input", _directory, "--camera", "car-1", "--topic", Topic, "--fps", "0",
            "--bootstrap", kafka.Servers, "--client", .. SecuredKafka.Login("admin")]);
        Assert.Equal(1, replay.Code);
        Assert.Contains("9 frames sent", replay.Output, StringComparison.Ordinal);
        Has(replay.Error, $"{At("6.jpg")}: its 70000 bytes are more than {Topic} takes: raise the topic's max.message.bytes",
            $"{At("9.jpg")}: its 70000 bytes", $"{At("10.jpg")}: its 2000000 bytes", "3 frames were not delivered");
    }

    [Fact]
    public async Task Frames_with_old_stamps_are_said_to_be_old()
    {
        kafka.Needed();
        const string Topic = "old.frames";
        using (var admin = kafka.Admin())
            await admin.CreateTopicsAsync([new TopicSpecification { Name = Topic, NumPartitions = 2, ReplicationFactor = 1,
                Configs = new Dictionary<string, string> { ["retention.ms"] = "-1" } }]);
        string address = $"kafka://{kafka.Servers}/{Topic}?seconds=60&{SecuredKafka.Query("admin")}";
        Assert.Contains("holds no record", (await CalibrateAsync(address)).Error, StringComparison.Ordinal);
        var config = new ProducerConfig(SecuredKafka.Login("admin").Select(pair => pair.Split('=', 2)).ToDictionary(pair =>
            pair[0], pair => pair[1]))
        { BootstrapServers = kafka.Servers };
        using (var producer = new ProducerBuilder<string, byte[]>(config).Build())
        {
            for (int i = 0; i < 5; i++)
                await producer.ProduceAsync(Topic,
                    new Message<string, byte[]>
                    {
                        Key = "car-1",
                        Value = [1],
                        Timestamp = new Timestamp(new DateTime(2020, 1, 2 + i, 3, 4, 5, DateTimeKind.Utc))
                    },
                    TestContext.Current.CancellationToken);
        }
        var old = await CalibrateAsync(address);
        Assert.Equal(1, old.Code);
        Has(old.Error, "nothing of its last 60 seconds", "the latest of the 5 older records there is stamped 2020-01-06 03:04:05Z",
            "?seconds=");
        Assert.Single(old.Error.TrimEnd().Split('\n'));
    }

    private Task<(int Code, string Output, string Error)> CalibrateAsync(string address) =>
        Tool.OutlierAsync("calibrate", "--model", Repository.StreetDemo, "--frames", address, "--out", At("model"));

    private Task<(int Code, string Output, string Error)> CheckAsync(string[] login, params string[] more) =>
        Tool.OutlierAsync(["check", "--bootstrap", kafka.Servers, .. more, "--client", .. login]);

    private static void Has(string text, params string[] parts)
    {
        foreach (string part in parts) Assert.Contains(part, text, StringComparison.Ordinal);
    }

    private string At(string name) => Path.Combine(_directory, name);
}
