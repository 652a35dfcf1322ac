using System.Collections;
using System.Globalization;
using System.Reflection;
using System.Text;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using OutlierPipeline.Batching;
using OutlierPipeline.Detection;
using OutlierPipeline.Frames;
using OutlierPipeline.Inference;
using OutlierPipeline.Models;
using OutlierPipeline.Pipeline;
using OutlierPipeline.Service.Access;
using OutlierPipeline.Service.Alerts;
using OutlierPipeline.Service.Subscriptions;

namespace OutlierPipeline.IntegrationTests.Docs;

/// <summary>
/// Writes docs/configuration.md from the option classes: keys and types from their properties, defaults from an instance, descriptions from
/// their summaries.
/// </summary>
internal static partial class ConfigurationPage
{
    private const string Head = """
        # Configuration

        <!-- Generated from the option classes: do not edit. OUTLIER_WRITE_DOCS=1 ./test.sh '*Configuration_page*' writes it again. -->

        Settings come from `appsettings.json`, from environment variables and from the command line. The last one wins.
        These three lines set the same key:

        ```
        { "Kafka": { "BootstrapServers": "broker:9092" } }
        Kafka__BootstrapServers=broker:9092
        --Kafka:BootstrapServers=broker:9092
        ```

        Only `Kafka:BootstrapServers` and `Model:Path` must be set. All settings are checked at the start.
        An unknown key or section, or a value that is out of range, stops the start with one line that names it.

        Times are written `HH:MM:SS` or `DAYS.HH:MM:SS`.
        `PATTERN` is a pattern of camera ids: `*` stands for any text, `?` for one character.
        Lists are numbered from 0, as in `Detection:Shadow:0`.

        """;

    private const string Tail = """

        ## Settings of .NET and OpenTelemetry

        | key | what it does |
        | --- | --- |
        | `OTEL_EXPORTER_OTLP_ENDPOINT` | Metrics and traces are sent there. Without it, there are only metrics, at `/metrics`. |
        | `ASPNETCORE_URLS` or `--urls` | Addresses on which the service listens. |
        | `Logging:LogLevel:*` | Which log lines are written. |

        """;

    private static readonly (string Section, string About, object Options)[] Sections =
    [
        ("Kafka", "Brokers, topics and what a crash may cost. See [kafka.md](kafka.md).", new KafkaOptions()),
        ("Frames", "What a frame may be. See [kafka.md](kafka.md#what-a-frame-may-be).", new FramesOptions()),
        ("Model", "Which model package scores which camera. See [models.md](models.md).", new ModelOptions()),
        ("Inference", "What computes the network. See [performance.md](performance.md).", new InferenceOptions()),
        ("Batching", "How frames are put together.", new BatchingOptions()),
        ("Detection", "When an incident opens and closes. See [severity.md](severity.md).", new DetectionOptions()),
        ("Overload", "What happens when frames come faster than they can be scored.", new OverloadOptions()),
        ("Alerts", "History, pictures and Alertmanager. See [alerts.md](alerts.md).", new AlertsOptions()),
        ("Api", "Who may call the service. See [alerts.md](alerts.md#access).", new ApiOptions()),
        ("Webhooks", "How alerts are sent to receivers. See [alerts.md](alerts.md#webhooks).", new WebhookOptions()),
    ];

    /// <summary>Defaults that an instance does not show: what takes the place of an empty value.</summary>
    private static readonly Dictionary<string, string> Defaults = new()
    {
        ["Kafka:BootstrapServers"] = "must be set",
        ["Kafka:CommitInterval"] = "`00:00:01`, with `ExactlyOnce` `00:00:00.1`",
        ["Model:Path"] = "must be set",
        ["Batching:MaxBatchSize"] = "`16` on a CPU, `128` on a GPU",
        ["Alerts:Cluster"] = "the cluster's own id",
        ["Api:Keys:NAME:Hash"] = "must be set for each key",
        ["Api:Keys:NAME:Scopes:0 …"] = "must be set for each key",
    };

    private static readonly Lazy<Dictionary<string, XElement>> Summaries = new(ReadSummaries);

    /// <summary>Every setting: section, key, type, default and description.</summary>
    public static IReadOnlyList<ConfigurationRow> Rows { get; } =
        [.. Sections.SelectMany(section => Of(section.Section, section.Options, section.Section))];

    /// <summary>Keys of <see cref="Defaults"/>, all of which must exist.</summary>
    public static IEnumerable<string> WrittenByHand => Defaults.Keys;

    /// <summary>The page.</summary>
    public static string Write()
    {
        var page = new StringBuilder(Head);
        foreach (var (section, about, _) in Sections)
        {
            page.Append($"\n## {section}\n\n{about}\n\n| key | type | default | what it does |\n| --- | --- | --- | --- |\n");
            foreach (var row in Rows.Where(row => row.Section == section)) page.Append(row.ToMarkdown()).Append('\n');
        }
        return page.Append(Tail).ToString().Replace("\r\n", "\n", StringComparison.Ordinal);
    }

    private static IEnumerable<ConfigurationRow> Of(string section, object options, string prefix)
    {
        foreach (var property in options.GetType().GetProperties().Where(property => property.SetMethod is not null))
        {
            string key = $"{prefix}:{property.Name}";
            object? value = property.GetValue(options);
            var type = Nullable.GetUnderlyingType(property.PropertyType) ?? property.PropertyType;
            if (type.IsGenericType && type.GetGenericTypeDefinition() == typeof(Dictionary<,>))
            {
                var element = type.GetGenericArguments()[1];
                key += property.Name == nameof(KafkaOptions.Client) ? ":PROPERTY" : IsSection(element) ? ":NAME" : ":PATTERN";
                if (IsSection(element))
                {
                    foreach (var row in Of(section, Activator.CreateInstance(element)!, key)) yield return row;
                    continue;
                }
                yield return Row(element);
            }
            else if (IsSection(type))
            {
                foreach (var row in Of(section, value!, key)) yield return row;
            }
            else if (type != typeof(string) && type.IsAssignableTo(typeof(IEnumerable)))
            {
                key += ":0 …";
                yield return Row(type.GetElementType() ?? type.GetGenericArguments()[0]);
            }
            else
            {
                yield return Row(type);
            }

            ConfigurationRow Row(Type of) => new(
                section,
                key,
                NameOf(of),
                Defaults.GetValueOrDefault(key) ?? DefaultOf(value),
                SummaryOf(property));
        }
    }

    private static bool IsSection(Type type) =>
        type.IsClass && !type.IsArray && type != typeof(string)
        && type.Namespace!.StartsWith(nameof(OutlierPipeline), StringComparison.Ordinal);

    private static string NameOf(Type type) =>
        type.IsEnum ? string.Join(", ", Enum.GetNames(type).Select(name => $"`{name}`"))
        : type == typeof(TimeSpan) ? "time"
        : type == typeof(bool) ? "`true`, `false`"
        : type == typeof(int) || type == typeof(long) ? "whole number"
        : type == typeof(double) ? "number"
        : type == typeof(Uri) ? "address"
        : type == typeof(string) ? "text"
        : throw new NotSupportedException($"say what a {type} is to a reader");

    private static string DefaultOf(object? value) => value switch
    {
        null or "" => "none",
        string text => $"`{text}`",
        TimeSpan { Milliseconds: not 0 } time => $"`{time:hh\\:mm\\:ss\\.fff}`",
        TimeSpan time => $"`{time:c}`",
        bool isOn => isOn ? "`true`" : "`false`",
        IEnumerable many => many.Cast<object>().ToArray() is { Length: > 0 } items ? string.Join(", ", items.Select(DefaultOf)) : "none",
        IFormattable plain => $"`{plain.ToString(null, CultureInfo.InvariantCulture)}`",
        _ => throw new NotSupportedException($"say what {value} is to a reader"),
    };

    private static string SummaryOf(PropertyInfo property) =>
        Summaries.Value.TryGetValue($"P:{property.DeclaringType!.FullName}.{property.Name}", out var summary) ? Text(summary) : "";

    /// <summary>The compiler writes the summaries of an assembly beside it.</summary>
    private static Dictionary<string, XElement> ReadSummaries() =>
        new[] { typeof(PipelineOptions).Assembly, typeof(AlertsOptions).Assembly }
            .Select(assembly => Path.Combine(AppContext.BaseDirectory, assembly.GetName().Name + ".xml"))
            .SelectMany(file => XDocument.Load(file).Descendants("member"))
            .Where(member => member.Element("summary") is not null)
            .ToDictionary(member => member.Attribute("name")!.Value, member => member.Element("summary")!);

    private static string Text(XElement summary)
    {
        var text = new StringBuilder();
        foreach (var node in summary.Nodes())
        {
            if (node is XText plain) text.Append(plain.Value);
            else if (node is XElement { Name.LocalName: "c" } code) text.Append('`').Append(code.Value).Append('`');
            else if (node is XElement element) text.Append('`').Append(element.Attribute("cref")?.Value.Split('.')[^1]).Append('`');
        }
        return Blanks().Replace(text.ToString(), " ").Trim();
    }

    [GeneratedRegex(@"\s+")]
    private static partial Regex Blanks();
}
