using Confluent.Kafka;
using Confluent.Kafka.Admin;

namespace OutlierPipeline.IntegrationTests.Support;

/// <summary>Apache Kafka with SCRAM and ACLs: 'admin' may everything, 'nobody' nothing that a test has not allowed.</summary>
public sealed class SecuredKafka : IAsyncLifetime
{
    private KafkaServer? _server;

    public string Servers => _server!.BootstrapServers;

    /// <summary>librdkafka's properties of a user, as <c>--client</c> takes them.</summary>
    public static string[] Login(string user, string? password = null) =>
        ["security.protocol=SASL_PLAINTEXT", "sasl.mechanism=SCRAM-SHA-512", $"sasl.username={user}",
        $"sasl.password={password ?? Password(user)}"];

    /// <summary>The same as the parameters of an address.</summary>
    public static string Query(string user, string? password = null) => string.Join('&', Login(user, password));

    public async ValueTask InitializeAsync()
    {
        if (KafkaServer.Missing is not null) return;
        string[] properties =
        [
            "listeners=CLIENTS://127.0.0.1:@PORT@,CONTROLLER://127.0.0.1:@CPORT@",
            "listener.security.protocol.map=CLIENTS:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name=CLIENTS", "sasl.enabled.mechanisms=SCRAM-SHA-512",
                "sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512",
            "listener.name.clients.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required "
                + $"username=\"admin\" password=\"{Password("admin")}\";",
            "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer", "super.users=User:admin;User:ANONYMOUS",
        ];
        string[] users = [.. new[] { "admin", "nobody" }.SelectMany(user =>
            new[] { "--add-scram", $"SCRAM-SHA-512=[name={user},password={Password(user)}]" })];
        _server = await KafkaServer.LaunchAsync(properties, users, Login("admin").Select(pair => pair.Split('=', 2)).ToDictionary(pair =>
            pair[0], pair => pair[1]));
    }

    /// <summary>Skips the test where there is no broker.</summary>
    public void Needed() => Assert.SkipWhen(_server is null, KafkaServer.Missing ?? "");

    public IAdminClient Admin() => _server!.Admin();

    /// <summary>Lets 'nobody' do something.</summary>
    public async Task AllowAsync(ResourceType type, string name, ResourcePatternType pattern, params AclOperation[] operations)
    {
        using var admin = Admin();
        await admin.CreateAclsAsync(operations.Select(operation => new AclBinding
        {
            Pattern = new ResourcePattern { Type = type, Name = name, ResourcePatternType = pattern },
            Entry = new AccessControlEntry
            {
                Principal = "User:nobody",
                Host = "*",
                Operation = operation,
                PermissionType = AclPermissionType.Allow
            },
        }));
    }

    public ValueTask DisposeAsync() => _server?.DisposeAsync() ?? ValueTask.CompletedTask;

    private static string Password(string user) => user + "-password";
}
