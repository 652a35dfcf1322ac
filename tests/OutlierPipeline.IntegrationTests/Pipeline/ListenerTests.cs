using OutlierPipeline.IntegrationTests.Support;

namespace OutlierPipeline.IntegrationTests.Pipeline;

/// <summary>
/// On Apache Kafka: every way to prove who one is, for the service and for <c>outlier check</c>; and what is said of a wrong one.
/// </summary>
[Collection(KafkaWithListeners.Name)]
public sealed class ListenerTests(KafkaWithListeners kafka) : IDisposable
{
    private const int Frames = 12;
    private readonly TestDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Theory]
    [InlineData("TLS", "AtLeastOnce")]
    [InlineData("MUTUAL", "ExactlyOnce")]
    [InlineData("PLAIN", "ExactlyOnce")]
    [InlineData("SCRAM", "AtLeastOnce")]
    [InlineData("OAUTH", "ExactlyOnce")]
    public async Task Frames_go_in_and_scores_come_out(string listener, string delivery)
    {
        using var cluster = new TestCluster(await kafka.WithTopicsAsync(1), 1);
        byte[][] frames = SmallFrames.Drive(1, Frames);
        foreach (byte[] frame in frames) cluster.Produce("car-1", frame);
        cluster.Flush();
        var login = kafka.Login(listener);
        await using var service = await RunningService.StartAsync(cluster, _directory.File("alerts.db"),
            [.. Settings(listener, login), $"Kafka:Delivery={delivery}"]);
        cluster.Read(records => records.Count == Frames, TestCluster.Scores);
        Assert.StartsWith("ready", await service.ReadyAsync(), StringComparison.Ordinal);

        var check = await CheckAsync(listener, login);
        foreach (string line in new[] { $"ok    broker: 1 at {kafka.Address(listener)}", "ok    sampled frames: 10 can be scored",
            "ok    permissions on ood.alerts: READ, WRITE, DESCRIBE", "ok    transactional id outlier-pipeline-check: WRITE" })
            Assert.Contains(line, check.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("TLS", "another authority", "SSL without a certificate", "certificate verify failed")]
    [InlineData("MUTUAL", "another certificate", "SSL with a certificate", "bad certificate")]
    [InlineData("MUTUAL", "no certificate", "SSL without a certificate", "bad certificate")]
    [InlineData("PLAIN", "another password", "SASL_SSL with PLAIN", "Authentication failed")]
    [InlineData("SCRAM", "another password", "SASL_SSL with SCRAM-SHA-512", "Authentication failed")]
    [InlineData("SCRAM", "another mechanism", "SASL_SSL with PLAIN", "SCRAM-SHA-512")]
    [InlineData("OAUTH", "another secret", "SASL_SSL with OAUTHBEARER", "invalid_client")]
    public async Task A_wrong_login_is_named_with_listener_mechanism_and_reason(string listener, string wrong, string how, string reason)
    {
        LongTests.AskUnless(wrong is "another authority" || (listener, wrong) == ("SCRAM", "another password"));
        using var cluster = new TestCluster(await kafka.EmptyAsync(), 1);
        var login = kafka.Login(listener);
        switch (wrong)
        {
            case "another authority":
                login["ssl.ca.location"] = kafka.OthersAuthority;
                break;
            case "another certificate":
                (login["ssl.certificate.location"], login["ssl.key.location"]) = kafka.OthersClient("service");
                break;
            case "no certificate":
                foreach (string key in new[] { "ssl.certificate.location", "ssl.key.location", "ssl.key.password" }) login.Remove(key);
                break;
            case "another password":
                login["sasl.password"] = "wrong-a1b2";
                break;
            case "another mechanism":
                login["sasl.mechanism"] = "PLAIN";
                break;
            case "another secret":
                login["sasl.oauthbearer.client.secret"] = "wrong-a1b2";
                break;
        }
        await using var service = await RunningService.BeginAsync(cluster, _directory.File("alerts.db"), Settings(listener, login));
        string refusal = $"Kafka at {kafka.Address(listener)} refuses {how}: ";
        string ready = "";
        await service.UntilAsync(async () => (ready = await service.ReadyAsync()).Contains(refusal, StringComparison.Ordinal),
            () => $"{refusal}\n{ready}\n{string.Join('\n', service.Log.Messages)}");
        TestContext.Current.TestOutputHelper?.WriteLine(ready);
        Assert.Contains(reason, ready, StringComparison.OrdinalIgnoreCase);
        string[] told = [.. service.Log.Messages.Where(message => message.StartsWith($"Error: {refusal}", StringComparison.Ordinal))];
        Assert.InRange(told.Length, 1, 2);
        Assert.Contains(told, message => message.Contains(reason, StringComparison.OrdinalIgnoreCase));

        var check = await CheckAsync(listener, login);
        Assert.Equal(1, check.Code);
        Assert.Contains($"{kafka.Address(listener)} refuses the connection ({how}): ", check.Output, StringComparison.Ordinal);
        Assert.Contains(reason, check.Output, StringComparison.OrdinalIgnoreCase);
        string all = ready + check.Output + check.Error + string.Concat(service.Log.Messages);
        foreach (string secret in KafkaWithListeners.Secrets.All.Append("wrong-a1b2"))
            Assert.DoesNotContain(secret, all, StringComparison.Ordinal);
    }

    private string[] Settings(string listener, Dictionary<string, string> login) =>
        [$"Kafka:BootstrapServers={kafka.Address(listener)}", .. login.Select(pair => $"Kafka:Client:{pair.Key}={pair.Value}")];

    private Task<(int Code, string Output, string Error)> CheckAsync(string listener, Dictionary<string, string> login) =>
        Tool.OutlierAsync(["check", "--bootstrap", kafka.Address(listener), "--client",
            .. login.Select(pair => $"{pair.Key}={pair.Value}")]);
}
