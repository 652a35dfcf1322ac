using System.Text;
using OutlierPipeline.Alerts;
using OutlierPipeline.Frames;
using OutlierPipeline.IntegrationTests.Support;
using OutlierPipeline.Models;

namespace OutlierPipeline.IntegrationTests.Pipeline;

public sealed class BadInputTests
{
    private static readonly byte[] Good = SmallFrames.Drive(1, 1)[0];
    private static readonly (string, string)[] Protobuf = [("content-type", "application/x-protobuf"),
        ("schema", "foxglove.CompressedImage")];

    [Fact]
    public async Task What_is_no_frame_goes_to_the_dead_letters_as_received_with_its_reason_and_the_stream_goes_on()
    {
        using var cluster = new TestCluster(1);
        byte[] notUtf8 = [0xFF, 0xFE, 0x41];
        byte[] truncated = Good[..^(Good.Length / 3)];
        byte[] corrupt = [.. Good];
        // The frame header's component count.
        corrupt[Array.IndexOf(corrupt, (byte)0xC0, Array.IndexOf(corrupt, (byte)0xFF)) + 8] = 9;
        byte[] huge = new byte[70_000];
        (byte[]? Key, byte[]? Value, string Reason, (string, string)[] Headers)[] bad =
        [
            (Text("cam"), null, "Empty", []),
            (Text("cam"), [], "Empty", []),
            (null, Good, "MissingCamera", []),
            ([], Good, "MissingCamera", []),
            (notUtf8, Good, "MissingCamera", []),
            (Text(new string('x', 129)), Good, "MissingCamera", []),
            (Text("cam"), Good, "InvalidHeader", [("frame-timestamp", "1e9")]),
            (Text("cam"), Good, "InvalidHeader", [("frame-timestamp", "-5")]),
            (Text("cam"), Text("hello, this is text"), "NotAnImage", []),
            (Text("cam"), [0xFF], "NotAnImage", []),
            (Text("cam"), Text("GIF89a................"), "UnsupportedFormat", []),
            (Text("cam"), [0, 0, 0, 1, 0x67, 0x42, 0, 0x1E], "UnsupportedFormat", []),
            (Text("cam"), Text("{}"), "UnsupportedFormat", [("content-type", "application/json")]),
            (Text("cam\0era"), Good, "MissingCamera", []),
            (Text("cam\nera"), Good, "MissingCamera", []),
            (Text("cam"), truncated, "Truncated", []),
            (Text("cam"), corrupt, "Corrupt", []),
            (Text("cam"), huge, "TooLarge", []),
            (Text("cam"), [10, 13, 8, 1, 16, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, .. Field(2, Good)],
                "InvalidHeader", Protobuf),
            (Text("cam"), [0, 0, 0, 0, 7, 0, .. Field(2, Good)], "UnsupportedFormat", Protobuf),
            (Text("cam"), [0, 0, 0, 1, 3, 0, .. Field(2, Good)], "UnsupportedFormat", Protobuf),
            (Text("cam"), [8, 150], "Truncated", [("content-type", "application/x-protobuf"), ("schema", "foxglove.CompressedImage")]),
        ];
        foreach (var (key, value, _, headers) in bad) cluster.Produce(key, value, 0, headers);
        cluster.Produce("cam", Good);
        cluster.Flush();
        var options = cluster.Options() with { Frames = new FramesOptions { MaxBytes = 65_536 } };
        using var metrics = new MetricRecorder();
        await using var pipeline = new RunningPipeline(options);
        await pipeline.Until(() => cluster.Committed()[0] == bad.Length + 1, "everything being committed");
        var letters = cluster.ReadAll(TestCluster.DeadLetters).OrderBy(letter =>
            int.Parse(Header(letter, "source.offset"), System.Globalization.CultureInfo.InvariantCulture)).ToArray();
        Assert.Equal(bad.Select(message => message.Reason), letters.Select(letter => Header(letter, "error.reason")));
        for (int i = 0; i < bad.Length; i++)
        {
            Assert.Equal(bad[i].Value ?? [], letters[i].Message.Value ?? []);
            Assert.Equal(Encoding.Latin1.GetString(bad[i].Key ?? []), letters[i].Message.Key);
            Assert.NotEmpty(Header(letters[i], "error.message"));
            Assert.Equal(TestCluster.Frames, Header(letters[i], "source.topic"));
            Assert.Equal("0", Header(letters[i], "source.partition"));
            foreach (var (name, text) in bad[i].Headers) Assert.Equal(text, Header(letters[i], name));
        }
        Assert.Single(cluster.ReadAll(TestCluster.Scores));
        foreach (var reasons in bad.GroupBy(message => message.Reason))
            Assert.Equal(reasons.Count(), metrics.Sum($"outlier.frames.dead_lettered {reasons.Key}"));
    }

    [Fact]
    public async Task The_first_bytes_decide_what_a_frame_is_and_the_content_type_is_a_hint()
    {
        using var cluster = new TestCluster(1);
        string?[] types = [null, "", "application/octet-stream", "binary/octet-stream", "jpeg", "image/jpg", "IMAGE/JPEG",
            "image/jpeg; charset=binary", " image/jpeg ", "\"image/jpeg\"", "text/plain", "video/h264", "application/json"];
        foreach (string? type in types) cluster.Produce("cam", Good, 0, type is null ? [] : [("content-type", type)]);
        cluster.Produce("cam", Good, 0, ("content-type", "text/plain"), ("content-type", "image/jpeg"));
        byte[] png = SmallFrames.Drive(1, 1, format: SkiaSharp.SKEncodedImageFormat.Png)[0];
        cluster.Produce("cam", png, 0, ("content-type", "image/png"));
        string[] formats = ["jpg", "jpeg", "bgr8; jpeg compressed bgr8", "rgb8; png compressed ", "", "h264"];
        foreach (string format in formats) cluster.Produce("cam", [.. Field(2, Good), .. Field(3, Text(format))], 0, Protobuf);
        // Without a header that says so, and with half of it.
        cluster.Produce("cam", Field(2, Good), 0, ("schema", "foxglove.CompressedImage"));
        cluster.Produce("cam", Field(2, Good), 0, ("content-type", "application/x-protobuf"));
        cluster.Produce("cam", Field(2, Good), 0);
        int right = types.Length + 1 + 1 + formats.Length + 3;
        // These say another kind of picture: scored too, and counted.
        foreach (string type in new[] { "image/png", "image/webp" }) cluster.Produce("cam", Good, 0, ("content-type", type));
        cluster.Produce("cam", png, 0, ("content-type", "image/jpeg"));
        cluster.Flush();
        using var metrics = new MetricRecorder();
        await using var pipeline = new RunningPipeline(cluster.Options());
        await pipeline.Until(() => cluster.Committed()[0] == right + 3, "everything being committed");
        Assert.Equal(right + 3, cluster.ReadAll(TestCluster.Scores).Count);
        Assert.Empty(cluster.ReadAll(TestCluster.DeadLetters));
        Assert.Equal(3, metrics.Sum("outlier.frames.mislabelled"));
    }

    [Fact]
    public async Task A_camera_of_which_nothing_can_be_decoded_is_an_incident()
    {
        using var cluster = new TestCluster(1);
        for (int i = 0; i < 30; i++)
            cluster.Produce("car-9/front", Good[..200], 0, ("frame-timestamp", $"{1_700_000_000_000_000_000 + i * 100_000_000L}"));
        cluster.Flush();
        await using var pipeline = new RunningPipeline(cluster.Options());
        await pipeline.Until(() => cluster.Committed()[0] == 30, "everything being committed");
        var opened = pipeline.Alerts.Single(alert => alert.Type == AlertType.Opened);
        Assert.Equal(AlertKind.Undecodable, opened.Kind);
        Assert.Equal("car-9/front", opened.Camera);
    }

    [Fact]
    public async Task A_dead_letter_that_is_too_large_for_its_topic_leaves_a_reference_and_a_digest()
    {
        using var cluster = new TestCluster(1);
        byte[] large = new byte[900_000];
        new Random(1).NextBytes(large);
        cluster.Produce("cam", large);
        cluster.Flush();
        var options = cluster.Options();
        options.Kafka.Client["message.max.bytes"] = "100000";
        await using var pipeline = new RunningPipeline(options);
        await pipeline.Until(() => cluster.Committed()[0] == 1, "the dead letter being committed");
        var letter = cluster.ReadAll(TestCluster.DeadLetters).Single();
        Assert.Equal("omitted", Header(letter, "error.payload"));
        Assert.Equal(ModelPackage.DigestOf(large), Header(letter, "error.payload.digest"));
        Assert.Empty(letter.Message.Value);
    }

    [Fact]
    public async Task While_dead_letters_cannot_be_written_the_partition_pauses_says_so_and_skips_nothing()
    {
        using var cluster = new TestCluster(2);
        await using var pipeline = new RunningPipeline(cluster.Options());
        await pipeline.Until(() => pipeline.NotReady.Count == 0, "the start");
        // 29: topic authorization failed.
        cluster.Broker.SetTopicError(TestCluster.DeadLetters, 29);
        cluster.Produce("cam-0", Encoding.UTF8.GetBytes("no picture"));
        cluster.Produce("cam-0", Good);
        cluster.Flush();
        await pipeline.Until(() => pipeline.NotReady.Any(reason => reason.Contains(TestCluster.DeadLetters, StringComparison.Ordinal)),
            "the readiness naming the dead-letter topic");
        // Several commits, since the first may begin before the blocked partition's does.
        for (int frame = 1; frame <= 3; frame++)
        {
            cluster.Produce("cam-1", Good, 1);
            cluster.Flush();
            await pipeline.Until(() => cluster.Committed()[1] == frame, "the other partition going on");
        }
        Assert.True(cluster.Committed()[0] <= 0);
        cluster.Broker.SetTopicError(TestCluster.DeadLetters, 0);
        await pipeline.Until(() => cluster.Committed()[0] == 2 && pipeline.NotReady.Count == 0, "the letter being written at last");
        Assert.Equal("NotAnImage", Header(cluster.ReadAll(TestCluster.DeadLetters).Single(), "error.reason"));
    }

    private static byte[] Text(string text) => Encoding.UTF8.GetBytes(text);

    /// <summary>A field of a protobuf message that holds bytes.</summary>
    private static byte[] Field(int number, byte[] content)
    {
        var length = new List<byte>();
        for (int left = content.Length; ; left >>= 7)
        {
            length.Add((byte)(left > 127 ? left & 127 | 128 : left));
            if (left <= 127) break;
        }
        return [(byte)(number << 3 | 2), .. length, .. content];
    }

    private static string Header(Confluent.Kafka.ConsumeResult<string, byte[]> record, string name) =>
        Encoding.UTF8.GetString(record.Message.Headers.GetLastBytes(name));
}
