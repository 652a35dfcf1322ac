using OutlierPipeline.Service;

namespace OutlierPipeline.IntegrationTests.Service;

/// <summary>What is secret is in no error that wrong settings lead to.</summary>
public sealed class SecretSettingsTests
{
    private const string Password = "pass-31fe";

    /// <summary>Settings with a fault of each kind, and a secret beside it or in it.</summary>
    [Theory]
    [InlineData("Kafka:Client:security.protocol=NONE", "Kafka:Client:sasl.password=" + Password)]
    [InlineData("Kafka:Client:sasl.pasword=" + Password)]
    [InlineData("Kafka:Client:sasl.mechanism=PLAIN", "Kafka:Client:security.protocol=SASL_PLAINTEXT",
        "Kafka:Client:sasl.password=" + Password)]
    [InlineData("Kafka:Client:ssl.key.pem=" + Password, "Kafka:Client:security.protocol=SSL")]
    [InlineData("Kafka:Client:sasl.oauthbearer.method=oidc", "Kafka:Client:sasl.mechanism=OAUTHBEARER",
        "Kafka:Client:security.protocol=SASL_PLAINTEXT", "Kafka:Client:sasl.oauthbearer.client.secret=" + Password)]
    [InlineData("Alerts:Database=Host=h;Pasword=" + Password)]
    [InlineData("Alerts:Database=Host=h;Port=x;Password=" + Password)]
    [InlineData("Alerts:Database=Host=h;Username;Password=" + Password)]
    [InlineData("Alerts:Alertmanagers:0=ftp://outlier:" + Password + "@h")]
    [InlineData("Alerts:KeepHistory=soon", "Alerts:Database=Host=h;Password=" + Password)]
    [InlineData("Kafka:MaxCameras=many", "Kafka:Client:sasl.password=" + Password)]
    [InlineData("Kafka:SaslPassword=" + Password)]
    [InlineData("Kafak:Client:sasl.password=" + Password)]
    public async Task No_secret_is_in_what_is_said_of_settings_that_are_wrong(params string[] settings)
    {
        string[] arguments = ["--Kafka:BootstrapServers=127.0.0.1:1", $"--Model:Path={Repository.StreetDemo}",
            .. settings.Select(setting => $"--{setting}")];
        var fault = await Assert.ThrowsAnyAsync<Exception>(async () => await ServiceHost.BuildAsync(arguments, _ => { }));
        TestContext.Current.TestOutputHelper?.WriteLine(fault.Message);
        Assert.DoesNotContain(Password, fault.ToString(), StringComparison.Ordinal);
    }
}
