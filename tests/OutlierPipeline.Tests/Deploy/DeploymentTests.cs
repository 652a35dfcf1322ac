using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Text.Json;
using System.Text.RegularExpressions;
using OutlierPipeline.Frames;
using OutlierPipeline.Telemetry;
using OutlierPipeline.Tests.Support;
using YamlDotNet.RepresentationModel;

namespace OutlierPipeline.Tests.Deploy;

/// <summary>
/// Compose needs images of registries to run, so what these files say is checked against each other and against the code;
/// deploy/docker/try.sh builds and runs the image.
/// </summary>
public sealed partial class DeploymentTests
{
    private static readonly string Compose = Path.Combine(Repository.Root, "docker-compose.yml");

    [Fact]
    public void Every_file_and_image_that_compose_names_is_there()
    {
        var services = Services();
        Assert.Equal(["cameras", "grafana", "kafka", "prometheus", "service", "topics"], services.Keys.Order());
        foreach (var (name, service) in services)
        {
            string image = Text(service, "image")!;
            Assert.True(image == "outlier-pipeline" || ImageWithVersion().IsMatch(image), $"{name}: {image} has no version");
            foreach (string volume in List(service, "volumes").Where(volume => volume.StartsWith("./", StringComparison.Ordinal)))
                Assert.True(Path.Exists(Path.Combine(Repository.Root, volume.Split(':')[0])), $"{name}: {volume} is not there");
            if (service.Children.TryGetValue("depends_on", out var needed))
                Assert.All(((YamlMappingNode)needed).Children.Keys, other => Assert.Contains(other.ToString(), services.Keys));
        }
        Assert.Equal("deploy/docker/Dockerfile", ((YamlMappingNode)services["topics"].Children["build"]).Children["dockerfile"].ToString());
        Assert.True(File.Exists(Path.Combine(Repository.Root, "deploy/docker/Dockerfile")));
    }

    [Fact]
    public void The_broker_that_clients_are_given_is_a_listener_of_Kafka()
    {
        var services = Services();
        string advertised = ((YamlMappingNode)services["kafka"].Children["environment"]).Children["KAFKA_ADVERTISED_LISTENERS"].ToString();
        Assert.Contains("INTERNAL://kafka:9092", advertised, StringComparison.Ordinal);
        Assert.Equal("kafka:9092", ((YamlMappingNode)services["service"].Children["environment"]).Children["Kafka__BootstrapServers"]
            .ToString());
        Assert.Contains("kafka:9092", List(services["cameras"], "entrypoint"));
        Assert.Contains("kafka:9092", List(services["topics"], "entrypoint"));
        Assert.Contains("29092:29092", List(services["kafka"], "ports"));
    }

    [Fact]
    public void The_image_holds_what_compose_starts_and_a_model_that_is_in_the_repository()
    {
        string dockerfile = File.ReadAllText(Path.Combine(Repository.Root, "deploy/docker/Dockerfile"));
        foreach (Match copy in CopiedFromContext().Matches(dockerfile))
            Assert.True(Path.Exists(Path.Combine(Repository.Root, copy.Groups[1].Value)), copy.Value);
        foreach (Match project in PublishedProject().Matches(dockerfile))
            Assert.True(Directory.Exists(Path.Combine(Repository.Root, project.Groups[1].Value)), project.Value);
        Assert.Equal(2, PublishedProject().Count(dockerfile));
        string model = ((YamlMappingNode)Services()["service"].Children["environment"]).Children["Model__Path"].ToString();
        Assert.True(Directory.Exists(Path.Combine(Repository.Root, model.TrimStart('/'))));
        Assert.DoesNotContain("models", File.ReadAllLines(Path.Combine(Repository.Root, ".dockerignore")));
    }

    [Fact]
    public void Stages_of_the_image_have_names_that_every_builder_takes_and_it_runs_as_nobody_with_a_health_check()
    {
        string[] lines = File.ReadAllLines(Path.Combine(Repository.Root, "deploy/docker/Dockerfile"));
        string[] stages = [.. lines.Where(line => line.StartsWith("FROM ", StringComparison.Ordinal)).Select(line =>
            line.Split(" AS ")).Where(parts => parts.Length == 2).Select(parts => parts[1])];
        Assert.Equal(["build", "runtime-cpu", "runtime-cuda"], stages);
        Assert.Contains("ARG ACCELERATOR=cpu", lines);
        Assert.Contains("USER $APP_UID", lines);
        Assert.Contains(lines, line => line.StartsWith("HEALTHCHECK ", StringComparison.Ordinal));
    }

    [Fact]
    public void Every_metric_of_dashboard_and_rules_is_one_that_the_service_has()
    {
        var known = Instruments();
        string dashboard = File.ReadAllText(Path.Combine(Repository.Root, "deploy/grafana/dashboards/outlier-pipeline.json"));
        using var json = JsonDocument.Parse(dashboard);
        var panels = json.RootElement.GetProperty("panels").EnumerateArray().ToArray();
        Assert.True(panels.Length >= 6);
        string[] expressions = [.. panels.SelectMany(panel => panel.GetProperty("targets").EnumerateArray()).Select(target =>
            target.GetProperty("expr").GetString()!), File.ReadAllText(Path.Combine(Repository.Root, "deploy/prometheus/rules.yml"))];
        foreach (Match metric in expressions.SelectMany(expression => MetricName().Matches(expression)))
            Assert.Contains(metric.Value, known);
    }

    [Fact]
    public void The_data_source_of_the_dashboard_is_provisioned()
    {
        string uid =
            ((YamlMappingNode)(
            (YamlSequenceNode)Load("deploy/grafana/provisioning/datasources/prometheus.yml").Children["datasources"]).Children[
            0]).Children["uid"].ToString();
        using var json =
            JsonDocument.Parse(File.ReadAllText(Path.Combine(Repository.Root, "deploy/grafana/dashboards/outlier-pipeline.json")));
        Assert.All(json.RootElement.GetProperty("panels").EnumerateArray(), panel =>
            Assert.Equal(uid, panel.GetProperty("datasource").GetProperty("uid").GetString()));
    }

    [Fact]
    public void Prometheus_accepts_its_configuration_and_rules()
    {
        Repository.Needs("promtool");
        var start = new ProcessStartInfo("promtool",
            ["check", "config", Path.Combine(Repository.Root, "deploy/prometheus/prometheus.yml")])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true
        };
        using var promtool = Process.Start(start)!;
        string output = promtool.StandardOutput.ReadToEnd() + promtool.StandardError.ReadToEnd();
        promtool.WaitForExit();
        Assert.True(promtool.ExitCode == 0, output);
    }

    /// <summary>The pipeline's instruments by the names that Prometheus gives them.</summary>
    private static HashSet<string> Instruments()
    {
        var names = new HashSet<string>();
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, _) =>
        {
            if (instrument.Meter.Name != PipelineTelemetry.Name) return;
            string name = instrument.Name.Replace('.', '_') + (instrument.Unit == "s" ? "_seconds" : "");
            string type = instrument.GetType().Name;
            if (type.StartsWith("Counter", StringComparison.Ordinal)) names.Add(name + "_total");
            else if (type.StartsWith("Histogram", StringComparison.Ordinal))
                names.UnionWith([name + "_bucket", name + "_sum", name + "_count"]);
            else names.Add(name);
        };
        listener.Start();
        PipelineTelemetry.CountDeadLetter(FrameError.Empty);
        using var gauges = PipelineTelemetry.Observe(() => 0, () => [], () => [], () => 0);
        return names;
    }

    private static Dictionary<string, YamlMappingNode> Services() =>
        ((YamlMappingNode)Load(Compose).Children["services"]).Children.ToDictionary(service => service.Key.ToString(), service =>
        (YamlMappingNode)service.Value);

    private static YamlMappingNode Load(string file)
    {
        var yaml = new YamlStream();
        yaml.Load(new StringReader(File.ReadAllText(Path.Combine(Repository.Root, file))));
        return (YamlMappingNode)yaml.Documents[0].RootNode;
    }

    private static string? Text(YamlMappingNode node, string key) =>
        node.Children.TryGetValue(key, out var value) ? value.ToString() : null;

    private static string[] List(YamlMappingNode node, string key) =>
        node.Children.TryGetValue(key, out var value) ? [.. ((YamlSequenceNode)value).Children.Select(child => child.ToString())] : [];

    [GeneratedRegex(@"^[\w./-]+:v?\d+\.\d+\.\d+$")]
    private static partial Regex ImageWithVersion();

    [GeneratedRegex(@"^COPY (?!--from)(\S+) ", RegexOptions.Multiline)]
    private static partial Regex CopiedFromContext();

    [GeneratedRegex(@"dotnet publish (\S+)")]
    private static partial Regex PublishedProject();

    [GeneratedRegex(@"\b(outlier|messaging)_\w+")]
    private static partial Regex MetricName();
}
