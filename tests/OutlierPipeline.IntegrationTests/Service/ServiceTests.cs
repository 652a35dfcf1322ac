using System.Diagnostics;
using System.Net;
using System.Text;
using Confluent.Kafka;
using Microsoft.Extensions.Configuration;
using OutlierPipeline.Alerts;
using OutlierPipeline.IntegrationTests.Support;
using OutlierPipeline.Service;

namespace OutlierPipeline.IntegrationTests.Service;

public sealed partial class ServiceTests
{
    [Fact]
    public async Task The_service_tells_health_and_metrics_over_http_exports_traces_and_ends_well_on_SIGTERM()
    {
        using var cluster = new TestCluster(1);
        using var collector = new OtlpCollector();
        string url = $"http://127.0.0.1:{Ports.Free()}";
        using var directory = new TestDirectory();
        using var service = Tool.Start("dotnet",
            ["exec", Tool.Service, $"--Kafka:BootstrapServers={cluster.BootstrapServers}", "--Kafka:Client:fetch.wait.max.ms=5",
            $"--Model:Path={Repository.StreetDemo}", $"--urls={url}", $"--Alerts:Database={directory.File("alerts.db")}",
            "--Alerts:Cluster=test", $"--OTEL_EXPORTER_OTLP_ENDPOINT={collector.Url}", "--OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
            "--OTEL_METRIC_EXPORT_INTERVAL=500", "--OTEL_BSP_SCHEDULE_DELAY=200"]);
        var output = service.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        var error = service.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        using var http = new HttpClient { BaseAddress = new Uri(url) };
        await UntilAsync(async () => (await http.GetAsync("/healthz/ready", TestContext.Current.CancellationToken)).IsSuccessStatusCode,
            () => service.HasExited);
        Assert.True((await http.GetAsync("/healthz/live", TestContext.Current.CancellationToken)).IsSuccessStatusCode);
        foreach (byte[] frame in SmallFrames.FullDrive(1, 20))
            cluster.Produce("car-1", frame, 0, ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
        cluster.Flush();
        await UntilAsync(async () => await http.GetStringAsync("/metrics", TestContext.Current.CancellationToken) is var told
            && told.Contains("outlier_frames_scored_total{", StringComparison.Ordinal)
            && told.Contains("stage=\"detect\"", StringComparison.Ordinal), () => service.HasExited);
        string metrics = await http.GetStringAsync("/metrics", TestContext.Current.CancellationToken);
        foreach (string name in new[] { "outlier_stage_duration_seconds_bucket", "outlier_frame_latency_seconds_count",
            "outlier_batch_size_count", "outlier_consumer_lag", "messaging_client_sent_messages" })
            Assert.Contains(name, metrics, StringComparison.Ordinal);
        foreach (string stage in new[] { "decode", "batch", "infer", "detect" })
            Assert.Contains($"stage=\"{stage}\"", metrics, StringComparison.Ordinal);
        // A clock in milliseconds is told, and makes nobody unready.
        foreach (byte[] frame in SmallFrames.FullDrive(2, 3))
        {
            string stamp = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds().ToString(System.Globalization.CultureInfo.InvariantCulture);
            cluster.Produce("milli", frame, 0, ("frame-timestamp", stamp),
                ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
        }
        cluster.Flush();
        await UntilAsync(async () =>
            await http.GetAsync("/healthz/ready", TestContext.Current.CancellationToken) is { IsSuccessStatusCode: true } ready
            && (await ready.Content.ReadAsStringAsync(TestContext.Current.CancellationToken))
            .Contains("the clock of camera milli: frame-timestamp is not in nanoseconds", StringComparison.Ordinal), () =>
            service.HasExited);
        await UntilAsync(async () => (await http.GetStringAsync("/cameras/milli", TestContext.Current.CancellationToken))
            .Contains("Its clock is wrong", StringComparison.Ordinal), () => service.HasExited);
        string page = await http.GetStringAsync("/", TestContext.Current.CancellationToken);
        Assert.Contains("Ready", page, StringComparison.Ordinal);
        await UntilAsync(() =>
            Task.FromResult(new[] { "decode", "batch", "infer", "detect" }.All(span => collector.Received("/v1/traces", span))
            && collector.Received("/v1/metrics", "outlier.frames.scored")), () => false);
        // The producer's trace goes on in the results.
        Assert.All(cluster.ReadAll(TestCluster.Scores), record =>
            Assert.StartsWith("00-0af7651916cd43dd8448eb211c80319c-",
            System.Text.Encoding.ASCII.GetString(record.Message.Headers.GetLastBytes("traceparent")), StringComparison.Ordinal));
        Signals.Send(service.Id, Signals.Terminate);
        await service.WaitForExitAsync(TestContext.Current.CancellationToken)
            .WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken);
        Assert.True(service.ExitCode == 0, await output + await error);
        Assert.Equal(23, cluster.Committed()[0]);
    }

    [Theory]
    [InlineData("--Model:Path=nowhere", "nowhere: no such model package")]
    [InlineData("--Kafka:BootstrapServers=", "Kafka:BootstrapServers is not set")]
    [InlineData("--Batching:MaxBatchSize=0", "Batching:MaxBatchSize is 0; expected 1 to 4096 frames")]
    [InlineData("--Batching:MaxBatchsise=4", "MaxBatchsise")]
    [InlineData("--Kafak:GroupId=x", "configuration: nobody knows Kafak (is Kafka meant?)")]
    [InlineData("--Detections:CloseAfter=00:00:01", "configuration: nobody knows Detections (is Detection meant?)")]
    [InlineData("--Streams:Max=1", "configuration: nobody knows Streams; the sections are Alerts, Api, ")]
    [InlineData("--verbose=true", "configuration: nobody knows verbose")]
    [InlineData("--Kafka:Client:enable.auto.commit=true", "Kafka:Client:enable.auto.commit cannot be set")]
    [InlineData("--Kafka:Client:no.such.property=1", "no.such.property")]
    [InlineData("--Inference:Accelerator=Cuda", "Inference:Accelerator is Cuda")]
    [InlineData("--urls=http://0.0.0.0:0", "the service would listen at http://0.0.0.0:0, where anybody could acknowledge alerts")]
    [InlineData("--Api:Keys:ops:Hash=secret", "Api:Keys:ops:Hash is not a hash")]
    [InlineData("--Api:Proxy:UserHeader=X-Forwarded-User", "Api:Proxy:Networks is empty")]
    [InlineData("--Alerts:VehiclePattern=(", "Alerts:VehiclePattern is not a regular expression")]
    [InlineData("--Alerts:Database=/nowhere/alerts.db", "Alerts:Database cannot be used")]
    public async Task What_is_wrong_at_the_start_is_one_line_on_standard_error_and_exit_code_1(string argument, string message)
    {
        using var directory = new TestDirectory();
        var service = await Tool.RunAsync("dotnet",
            ["exec", Tool.Service, "--Kafka:BootstrapServers=127.0.0.1:1", $"--Model:Path={Repository.StreetDemo}",
            "--urls=http://127.0.0.1:0", $"--Alerts:Database={directory.File("alerts.db")}", argument]);
        Assert.Equal(1, service.Code);
        Assert.Contains(message, service.Error, StringComparison.Ordinal);
        Assert.Single(service.Error.TrimEnd().Split('\n'));
    }

    [Fact]
    public async Task A_section_that_nobody_knows_is_an_error_in_the_environment_and_in_a_file_and_other_programs_variables_are_none()
    {
        using var directory = new TestDirectory();
        string[] arguments = ["exec", Tool.Service, "--Kafka:BootstrapServers=127.0.0.1:1", "--Model:Path=nowhere",
            $"--Alerts:Database={directory.File("alerts.db")}"];
        foreach (var (name, message) in new[] { ("Kafak__GroupId", "nobody knows Kafak (is Kafka meant?)"),
            ("ALERT__DATABASE", "nobody knows ALERT (is Alerts meant?)"), ("Tracing__Level", "nobody knows Tracing"),
            ("CI__JOB", "nowhere: no such model"), ("__CFBundleIdentifier", "nowhere: no such model"),
            ("npm_config__x", "nowhere: no such model") })
        {
            var service = await Tool.RunAsync("env", [$"{name}=7", "dotnet", .. arguments]);
            Assert.Equal(1, service.Code);
            Assert.Contains(message, Assert.Single(service.Error.TrimEnd().Split('\n')), StringComparison.Ordinal);
        }
        var configuration = new ConfigurationManager();
        configuration.AddJsonStream(
            new MemoryStream("""{ "Kafka": { "GroupId": "x" }, "Logging": {}, "Webhook": { "Timeout": "00:00:01" } }"""u8.ToArray()));
        Assert.Contains("nobody knows Webhook (is Webhooks meant?)",
            Assert.Throws<PipelineException>(() => UnknownSettings.Refuse(configuration)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_local_broker_works_with_the_service_without_further_settings_from_whatever_directory_and_the_log_is_not_of_SQL()
    {
        using var directory = new TestDirectory();
        using var broker = Tool.Start("dotnet", ["exec", Tool.Outlier, "broker", "--partitions", "4"]);
        string url = $"http://127.0.0.1:{Ports.Free()}";
        Process? service = null;
        try
        {
            string servers = (await broker.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken))!;
            string elsewhere = Path.GetDirectoryName(directory.File("x"))!;
            service = Tool.Start("dotnet",
                ["exec", Tool.Service, $"--Kafka:BootstrapServers={servers}", $"--Model:Path={Repository.StreetDemo}", $"--urls={url}"],
                elsewhere);
            var output = service.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
            var error = service.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
            using var http = new HttpClient { BaseAddress = new Uri(url) };
            await UntilAsync(async () =>
                (await http.GetAsync("/healthz/ready", TestContext.Current.CancellationToken)).IsSuccessStatusCode, () =>
                service.HasExited);
            string alert = Encoding.UTF8.GetString(AlertFactory.Record("one", 1, AlertType.Opened));
            using (var producer = new ProducerBuilder<Null,
                string>(new ProducerConfig { BootstrapServers = servers }).Build()) await producer.ProduceAsync("ood.alerts",
                new Message<Null, string> { Value = alert }, TestContext.Current.CancellationToken);
            await UntilAsync(async () =>
                (await http.GetStringAsync("/api/alerts", TestContext.Current.CancellationToken))
                .Contains("\"one\"", StringComparison.Ordinal), () => service.HasExited);
            string system = await http.GetStringAsync("/system", TestContext.Current.CancellationToken);
            Assert.Matches("frames of at most [0-9]+<", system);
            Assert.True((await http.GetAsync("/dashboard.css", TestContext.Current.CancellationToken)).IsSuccessStatusCode);
            Signals.Send(service.Id, Signals.Terminate);
            string log = await output + await error;
            // Its settings lie where it lies, and not where it was started.
            Assert.Contains($"Content root path: {Path.GetDirectoryName(Path.GetFullPath(Tool.Service))}", log, StringComparison.Ordinal);
            Assert.DoesNotContain("SELECT", log, StringComparison.Ordinal);
            Assert.DoesNotContain("EntityFrameworkCore", log, StringComparison.Ordinal);
            Assert.True(File.Exists(directory.File("outlier-alerts.db")));
        }
        finally
        {
            foreach (var process in new[] { broker, service }.OfType<Process>()
                .Where(process => !process.HasExited)) process.Kill(entireProcessTree: true);
            service?.Dispose();
        }
    }

    private static async Task UntilAsync(Func<Task<bool>> condition, Func<bool> isLost)
    {
        var begun = Stopwatch.StartNew();
        while (begun.Elapsed < TimeSpan.FromSeconds(60) && !isLost())
        {
            try
            {
                if (await condition()) return;
            }
            catch (HttpRequestException)
            {
                // Not listening yet.
            }
            await Task.Delay(100);
        }
        throw new TimeoutException(isLost() ? "the service has ended" : "the condition did not come");
    }

    /// <summary>Takes what an OTLP exporter posts over HTTP.</summary>
    private sealed class OtlpCollector : IDisposable
    {
        private readonly HttpListener _listener = new();
        private readonly List<(string Path, string Body)> _received = [];

        public OtlpCollector()
        {
            Url = $"http://127.0.0.1:{Ports.Free()}";
            _listener.Prefixes.Add(Url + "/");
            _listener.Start();
            _ = ReceiveAsync();
        }

        public string Url { get; }

        public bool Received(string path, string text)
        {
            lock (_received) return _received.Any(request => request.Path == path && request.Body.Contains(text, StringComparison.Ordinal));
        }

        public void Dispose() => _listener.Close();

        private async Task ReceiveAsync()
        {
            try
            {
                while (true)
                {
                    var context = await _listener.GetContextAsync();
                    using var body = new MemoryStream();
                    await context.Request.InputStream.CopyToAsync(body);
                    lock (_received)
                        _received.Add((context.Request.Url!.AbsolutePath, System.Text.Encoding.Latin1.GetString(body.ToArray())));
                    context.Response.Close();
                }
            }
            catch (Exception e) when (e is HttpListenerException or ObjectDisposedException)
            {
                // Closed.
            }
        }
    }
}
