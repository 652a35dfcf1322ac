using System.CommandLine;

namespace OutlierPipeline.Cli;

/// <summary>The options of every command that talks to Kafka.</summary>
internal sealed class KafkaArguments
{
    private readonly Option<string[]> _client = new("--client")
    {
        AllowMultipleArgumentsPerToken = true,
        Description = "librdkafka properties KEY=VALUE, such as security.protocol=SSL"
    };

    public Option<string> Bootstrap { get; } = new("--bootstrap")
    {
        Required = true,
        Description = "host:port of a broker, several separated by commas"
    };

    public void AddTo(Command command)
    {
        command.Options.Add(Bootstrap);
        command.Options.Add(_client);
        _client.Validators.Add(result =>
        {
            foreach (var token in result.Tokens.Where(token => !token.Value.Contains('=', StringComparison.Ordinal)))
                result.AddError($"--client {token.Value}: expected KEY=VALUE");
        });
    }

    public Dictionary<string, string> Properties(ParseResult options)
    {
        var properties = (options.GetValue(_client) ?? []).Select(pair => pair.Split('=', 2)).ToDictionary(pair =>
            pair[0], pair => pair[1]);
        properties["bootstrap.servers"] = options.GetRequiredValue(Bootstrap);
        return properties;
    }
}
