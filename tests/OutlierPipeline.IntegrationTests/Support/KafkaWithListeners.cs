namespace OutlierPipeline.IntegrationTests.Support;

/// <summary>
/// An Apache Kafka that is spoken to in every way that clients prove who they are, each on a port of its own, beside an open one for the
/// tests themselves. It has an authorizer: 'service' may everything, 'least' nothing that a test has not allowed.
/// </summary>
public sealed class KafkaWithListeners : SharedKafka
{
    public const string Name = "Kafka with listeners";
    private readonly TestCertificates _certificates = new("authority of the tests");
    private readonly TestCertificates _others = new("authority of somebody else");
    private readonly TokenServer _tokens = new("service", Secrets.OAuth);
    private readonly Dictionary<string, int> _ports = new[] { "TLS", "MUTUAL", "PLAIN", "SCRAM", "OAUTH" }.ToDictionary(name => name, _ =>
        Ports.Free());

    /// <summary>The address of a listener.</summary>
    public string Address(string listener) => $"127.0.0.1:{_ports[listener]}";

    /// <summary>librdkafka's properties of who is known at a listener.</summary>
    public Dictionary<string, string> Login(string listener, string user = "service")
    {
        var login = new Dictionary<string, string>
        {
            ["ssl.ca.location"] = _certificates.Authority,
            ["security.protocol"] = listener is "TLS" or "MUTUAL" ? "SSL" : "SASL_SSL",
        };
        switch (listener)
        {
            case "MUTUAL":
                (login["ssl.certificate.location"], login["ssl.key.location"]) = _certificates.Client(user, Secrets.Key);
                login["ssl.key.password"] = Secrets.Key;
                break;
            case "PLAIN" or "SCRAM":
                login["sasl.mechanism"] = listener == "PLAIN" ? "PLAIN" : "SCRAM-SHA-512";
                login["sasl.username"] = user;
                login["sasl.password"] = Secrets.Password;
                break;
            case "OAUTH":
                login["sasl.mechanism"] = "OAUTHBEARER";
                login["sasl.oauthbearer.method"] = "oidc";
                login["sasl.oauthbearer.token.endpoint.url"] = _tokens.TokenEndpoint;
                login["sasl.oauthbearer.client.id"] = "service";
                login["sasl.oauthbearer.client.secret"] = Secrets.OAuth;
                break;
        }
        return login;
    }

    /// <summary>A certificate for the name, of an authority that the broker does not know.</summary>
    internal (string Certificate, string Key) OthersClient(string name) => _others.Client(name, Secrets.Key);

    /// <summary>The certificate of an authority that has not signed the broker's.</summary>
    internal string OthersAuthority => _others.Authority;

    protected override string[] Format => [.. new[] { "service", "least" }.SelectMany(user =>
        new[] { "--add-scram", $"SCRAM-SHA-512=[name={user},password={Secrets.Password}]" })];

    protected override string[] Java => [$"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={_tokens.Keys}"];

    protected override string[] Properties =>
    [
        "listeners=PLAINTEXT://127.0.0.1:@PORT@,CONTROLLER://127.0.0.1:@CPORT@," +
            string.Join(',', _ports.Select(listener => $"{listener.Key}://127.0.0.1:{listener.Value}")),
        "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,TLS:SSL,MUTUAL:SSL,PLAIN:SASL_SSL,SCRAM:SASL_SSL," +
            "OAUTH:SASL_SSL",
        "inter.broker.listener.name=PLAINTEXT",
        "ssl.keystore.type=PEM", $"ssl.keystore.location={_certificates.Server()}", "ssl.truststore.type=PEM",
        $"ssl.truststore.location={_certificates.Authority}", "listener.name.mutual.ssl.client.auth=required",
        "listener.name.plain.sasl.enabled.mechanisms=PLAIN",
        "listener.name.plain.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required "
            + $"user_service=\"{Secrets.Password}\" user_least=\"{Secrets.Password}\";",
        "listener.name.scram.sasl.enabled.mechanisms=SCRAM-SHA-512",
        "listener.name.scram.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;",
        "listener.name.oauth.sasl.enabled.mechanisms=OAUTHBEARER",
        "listener.name.oauth.oauthbearer.sasl.jaas.config="
            + "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;",
        "listener.name.oauth.oauthbearer.sasl.server.callback.handler.class="
            + "org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallbackHandler",
        $"listener.name.oauth.oauthbearer.sasl.oauthbearer.jwks.endpoint.url={_tokens.Keys}",
        $"listener.name.oauth.oauthbearer.sasl.oauthbearer.expected.audience={TokenServer.Audience}",
        $"listener.name.oauth.oauthbearer.sasl.oauthbearer.expected.issuer={_tokens.Issuer}",
        "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users=User:ANONYMOUS;User:service;User:CN=service",
    ];

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        _certificates.Dispose();
        _others.Dispose();
        _tokens.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <summary>What may be read nowhere.</summary>
    public static class Secrets
    {
        public const string Password = "sasl-pass-5b1f";
        public const string Key = "key-pass-77ac";
        public const string OAuth = "oauth-secret-c0de";

        public static IEnumerable<string> All => [Password, Key, OAuth];
    }
}

/// <summary>One such Kafka for all tests that need it.</summary>
[CollectionDefinition(KafkaWithListeners.Name)]
public sealed class KafkaWithListenersTests : ICollectionFixture<KafkaWithListeners>;
