using System.Text.Json;
using CloudNative.CloudEvents;
using CloudNative.CloudEvents.SystemTextJson;
using OutlierPipeline.Footage.Simulation;
using OutlierPipeline.Frames;
using OutlierPipeline.IntegrationTests.Support;

namespace OutlierPipeline.IntegrationTests.Pipeline;

public sealed class ForeignClientTests
{
    [Fact]
    public async Task A_picture_that_kcat_produces_is_scored_and_kcat_reads_both_topics()
    {
        Repository.Needs("kcat");
        using var cluster = new TestCluster(1);
        await using var pipeline = new RunningPipeline(cluster.Options());
        string directory = Directory.CreateTempSubdirectory().FullName;
        var frames = SmallFrames.FullDrive(1, 30, Trouble.Fog);
        for (int i = 0; i < frames.Length; i++)
            await File.WriteAllBytesAsync(Path.Combine(directory, $"{i}.jpg"), frames[i], TestContext.Current.CancellationToken);
        // No content type: the format is told from the first bytes. A file is one message.
        long time = 1_700_000_000_000_000_000;
        for (int i = 0; i < frames.Length; i++)
        {
            var sent = await Tool.RunAsync("kcat", ["-b", cluster.BootstrapServers, "-P", "-t", TestCluster.Frames, "-k",
                "my-car/front", "-p", "0", "-H", $"frame-timestamp={time += 100_000_000}", Path.Combine(directory, $"{i}.jpg")]);
            Assert.Equal(0, sent.Code);
        }
        await pipeline.Until(() => cluster.Committed()[0] == frames.Length, "everything being committed");
        var scores = await Tool.RunAsync("kcat", ["-b", cluster.BootstrapServers, "-C", "-t", TestCluster.Scores, "-e", "-q", "-f",
            "%k %s\\n"]);
        string[] lines = scores.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(frames.Length, lines.Length);
        Assert.All(lines, line => Assert.StartsWith("my-car/front {", line, StringComparison.Ordinal));
        Assert.All(lines, line =>
            Assert.Equal("scored", JsonDocument.Parse(line[line.IndexOf('{', StringComparison.Ordinal)..]).RootElement.GetProperty("status")
            .GetString()));
        var alerts = await Tool.RunAsync("kcat", ["-b", cluster.BootstrapServers, "-C", "-t", TestCluster.Alerts, "-e", "-q", "-f",
            "%h %s\\n"]);
        Assert.StartsWith("content-type=application/cloudevents+json {", alerts.Output, StringComparison.Ordinal);
        Assert.Contains("\"camera\":\"my-car/front\"", alerts.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_alert_is_a_CloudEvent_that_an_ordinary_library_reads_with_its_picture()
    {
        using var cluster = new TestCluster(1);
        long time = 1_700_000_000_000_000_000;
        foreach (byte[] frame in SmallFrames.FullDrive(1, 40, Trouble.Fog))
            cluster.Produce("car-1/front", frame, 0, ("frame-timestamp", $"{time += 100_000_000}"));
        cluster.Flush();
        await using var pipeline = new RunningPipeline(cluster.Options());
        var record = cluster.Read(records => records.Count > 0, TestCluster.Alerts)[0];
        var alert = new JsonEventFormatter().DecodeStructuredModeMessage(record.Message.Value,
            new System.Net.Mime.ContentType("application/cloudevents+json"), null);
        Assert.Equal("outlier.alert.opened", alert.Type);
        Assert.Equal(CloudEventsSpecVersion.V1_0, alert.SpecVersion);
        Assert.True(alert.IsValid);
        var data = (JsonElement)alert.Data!;
        byte[] picture = data.GetProperty("picture").GetProperty("base64").GetBytesFromBase64();
        Assert.InRange(picture.Length, 1000, 64 * 1024);
        using var bitmap = SkiaSharp.SKBitmap.Decode(picture);
        Assert.Equal((322, 96), (bitmap.Width, bitmap.Height));
    }

    [Fact]
    public async Task A_foxglove_CompressedImage_and_a_camera_named_by_a_header_are_scored()
    {
        using var cluster = new TestCluster(1);
        byte[] jpeg = SmallFrames.FullDrive(1, 1)[0];
        // 1: timestamp {1: 1700000000 s, 2: 5 ns}, 2: data, 3: format, 4: frame id, as protoc would write it.
        byte[] message = [0x0A, 8, 0x08, 0x80, 0xE2, 0xCF, 0xAA, 0x06, 0x10, 5, 0x12, .. Varint(jpeg.Length), .. jpeg, 0x1A, 4,
            .. "jpeg"u8, 0x22, 3, .. "cam"u8];
        cluster.Produce("ignored", message, 0, ("content-type", "application/x-protobuf"), ("schema", "foxglove.CompressedImage"),
            ("camera", "car-4/top"));
        cluster.Flush();
        await using var pipeline =
            new RunningPipeline(cluster.Options() with { Frames = new FramesOptions { CameraId = "header:camera" } });
        var record = cluster.Read(records => records.Count == 1, TestCluster.Scores)[0];
        var score = JsonDocument.Parse(record.Message.Value).RootElement;
        Assert.Equal("car-4/top", record.Message.Key);
        Assert.Equal("car-4/top", score.GetProperty("camera").GetString());
        Assert.Equal("2023-11-14T22:13:20.000000005Z", score.GetProperty("timestamp").GetString());

        static byte[] Varint(int value)
        {
            var bytes = new List<byte>();
            for (; value >= 0x80; value >>= 7) bytes.Add((byte)(value | 0x80));
            return [.. bytes, (byte)value];
        }
    }
}
