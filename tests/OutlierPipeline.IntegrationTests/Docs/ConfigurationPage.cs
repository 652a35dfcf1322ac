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
        ["Model:Path"] = "must be set",
        ["Batching:MaxBatchSize"] = "`16` on a CPU, `128` on a GPU",
        ["Alerts:Cluster"] = "the cluster's own id",
        ["Api:Keys:NAME:Hash"] = "must be set for each key",
        ["Api:Keys:NAME:Scopes:0 …"] = "must be set for each key",
    };

    /// <summary>For properties whose classes say nothing, or say it to programmers.</summary>
    private static readonly Dictionary<string, string> Words = new()
    {
        ["Kafka:GroupId"] = "Consumer group. Replicas with the same group share the partitions.",
        ["Kafka:FramesTopic"] = "Topic that the frames are read from.",
        ["Kafka:ScoresTopic"] = "Topic for score records, one for each frame.",
        ["Kafka:AlertsTopic"] = "Topic for alerts.",
        ["Kafka:StateTopic"] = "Compacted topic for the detectors' state.",
        ["Kafka:DeadLetterTopic"] = "Topic for records that cannot be scored, with the reason.",
        ["Kafka:Delivery"] = "What a crash may cost. Only `AtLeastOnce` is built; `ExactlyOnce` is refused at the start.",
        ["Kafka:StartFrom"] = "Where a new consumer group begins to read.",
        ["Kafka:CommitInterval"] = "How often state and offsets are committed. After a crash, frames since the last commit are read again.",
        ["Kafka:MaxCameras"] =
            "Cameras that one replica keeps in memory. Beyond it, cameras that sent a single frame and have no incident are "
            + "forgotten first. Then frames of new cameras go to the dead letters.",
        ["Frames:MaxDecodeTime"] =
            "Longest time that decoding one picture may take on one core. It is estimated from the header, before any pixel is "
            + "decoded.",
        ["Frames:MaxClockSkew"] =
            "How far the step between two frames, by the camera's clock, may differ from the step between the two records. Beyond "
            + "it, the records' step counts.",
        ["Frames:Decoder"] =
            "What decodes JPEG. `NvJpeg` decodes on the GPU, and the CPU takes what nvJPEG cannot decode. `Auto` takes it where a "
            + "GPU computes and the library is present.",
        ["Model:Path"] = "Directory of the model package for all cameras that no pattern fits.",
        ["Model:Cameras:PATTERN"] = "Directory of the model package for cameras whose id fits. The longest pattern that fits decides.",
        ["Inference:Accelerator"] =
            "What computes the network. An accelerator that is named and missing stops the start. `Auto` takes the fastest that is "
            + "present; the log says which and why.",
        ["Inference:Precision"] =
            "Precision of the network. `Auto` takes `Fp16` on a GPU and `Fp32` on a CPU. Densities and scores are always computed "
            + "in float32.",
        ["Inference:EngineCache"] =
            "Directory in which TensorRT keeps its engines. Without it they are built at every start, which takes minutes.",
        ["Detection:SilentAfter:PATTERN"] =
            "A camera whose id fits the pattern is silent when it sends nothing for so long. Cars are parked, so no camera is "
            + "watched by default.",
        ["Detection:DriveGap"] =
            "A longer time between two frames of a camera ends the drive. The evidence starts again from nothing and an open "
            + "incident closes.",
        ["Detection:DriftAfter"] =
            "The fleet drifts when most cameras of a model, five at least, have low p-values for so long. Then the model should be "
            + "recalibrated.",
        ["Overload:Policy"] =
            "`Wait` scores every frame, however late. `SkipStale` records frames that are too old as `skipped`, without a score.",
        ["Overload:MaxFrameAge"] = "With `SkipStale`, the age beyond which a frame is skipped.",
        ["Alerts:ResendInterval"] = "How often open incidents are sent again to the Alertmanagers.",
        ["Alerts:Cluster"] = "Name of the Kafka cluster, under which positions in it are stored.",
        ["Alerts:KeepPictures"] = "After this time an incident loses its picture and keeps its figures. Frames are pictures of people.",
        ["Alerts:Pictures:PATTERN"] =
            "What is shown of the frames of cameras whose id fits the pattern. The longest pattern that fits decides. Without one "
            + "the frame is shown.",
        ["Api:AllowAnonymousFromAnywhere"] =
            "Whether everybody who reaches the service may do everything. Without it, and without keys or a proxy, only this "
            + "machine may.",
        ["Api:RequestsPerSecond"] =
            "Requests per second that one caller may make over a long time. Four times as many are allowed at once.",
        ["Api:Keys:NAME:Scopes:0 …"] = "What the holder of the key may do.",
        ["Api:Proxy:UserHeader"] = "Header in which an authenticating proxy names the user, such as `X-Forwarded-User`.",
        ["Api:Proxy:Scopes:0 …"] = "What users of the proxy may do.",
        ["Webhooks:GiveUpAfter"] = "A subscription is dead when every attempt has failed for so long.",
    };

    private static readonly Lazy<Dictionary<string, XElement>> Summaries = new(ReadSummaries);

    /// <summary>Every setting: section, key, type, default and description.</summary>
    public static IReadOnlyList<ConfigurationRow> Rows { get; } =
        [.. Sections.SelectMany(section => Of(section.Section, section.Options, section.Section))];

    /// <summary>Keys of <see cref="Words"/> and <see cref="Defaults"/>, all of which must exist.</summary>
    public static IEnumerable<string> WrittenByHand => Words.Keys.Concat(Defaults.Keys);

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
                Words.GetValueOrDefault(key) ?? SummaryOf(property));
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
