using System.Globalization;
using OutlierPipeline.Footage.Simulation;
using OutlierPipeline.IntegrationTests.Support;

namespace OutlierPipeline.IntegrationTests.Cli;

public sealed class CommandLineTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task Score_writes_a_row_a_frame_and_strange_frames_have_small_p_values()
    {
        Write("normal", SmallFrames.FullDrive(700, 12));
        Write("fog", SmallFrames.FullDrive(700, 12, Trouble.Fog));
        await File.WriteAllTextAsync(Path.Combine(_directory, "fog", "99999.jpg"), "no picture", TestContext.Current.CancellationToken);
        string csv = Path.Combine(_directory, "scores.csv");
        var scored = await Tool.OutlierAsync("score", "--model", Repository.StreetDemo, "--input", _directory, "--out", csv);
        Assert.Equal(0, scored.Code);
        Assert.Contains("NotAnImage", scored.Error, StringComparison.Ordinal);
        string[] lines = await File.ReadAllLinesAsync(csv, TestContext.Current.CancellationToken);
        Assert.Equal(
            "file,score,reconstruction,kl,latent,bands,local,p_value,onset,onset_p_value,martingale",
            lines[0]);
        Assert.Equal(26, lines.Length);
        double[] P(string drive) =>
            [.. lines.Where(line => line.StartsWith(drive + "/0", StringComparison.Ordinal)).Select(line =>
            double.Parse(line.Split(',')[^4], CultureInfo.InvariantCulture))];
        Assert.Equal(12, P("normal").Length);
        Assert.True(P("fog").Max() < P("normal").Min(), "fog is not stranger than the clear street");
        Assert.Contains(lines, line => line.StartsWith("fog/99999.jpg,,", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Replay_sends_the_files_as_they_are_in_name_order()
    {
        byte[][] frames = SmallFrames.Drive(5, 15);
        Write("drive", frames);
        using var cluster = new TestCluster(1);
        var replayed = await Tool.OutlierAsync("replay", "--input", Path.Combine(_directory, "drive"), "--camera", "car-5/front",
            "--bootstrap", cluster.BootstrapServers, "--fps", "100");
        Assert.True(replayed.Code == 0, replayed.Error);
        var records = cluster.ReadAll(TestCluster.Frames);
        Assert.Equal(frames, records.Select(record => record.Message.Value));
        Assert.All(records, record => Assert.Equal("car-5/front", record.Message.Key));
        Assert.All(records, record => Assert.Equal("image/jpeg"u8.ToArray(), record.Message.Headers.GetLastBytes("content-type")));
    }

    [Fact]
    public async Task Check_says_what_is_there_and_which_frames_would_be_scored()
    {
        using var cluster = new TestCluster(1);
        cluster.Produce("car-1/front", SmallFrames.Drive(1, 1)[0]);
        cluster.Flush();
        var good = await Tool.OutlierAsync("check", "--bootstrap", cluster.BootstrapServers, "--model", Repository.StreetDemo);
        Assert.True(good.Code == 0, good.Output + good.Error);
        foreach (string text in new[] { "camera.frames.dlq: 1 partitions", "car-1/front", "80×48", "street-demo", "1 can be scored" })
            Assert.Contains(text, good.Output, StringComparison.Ordinal);
        cluster.Produce((string?)null, [1, 2, 3]);
        cluster.Flush();
        var bad = await Tool.OutlierAsync("check", "--bootstrap", cluster.BootstrapServers);
        Assert.Equal(1, bad.Code);
        Assert.Contains("MissingCamera", bad.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Check_names_what_is_missing_and_the_remedy()
    {
        using var broker = new MockBroker();
        broker.CreateTopic("camera.frames", 6);
        broker.CreateTopic("ood.scores", 2);
        var check = await Tool.OutlierAsync("check", "--bootstrap", broker.BootstrapServers);
        Assert.Equal(1, check.Code);
        Assert.Contains("ood.scores: has 2 partitions, camera.frames has 6", check.Output, StringComparison.Ordinal);
        Assert.Contains("--create", check.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Check_of_a_broker_that_is_not_there_fails_within_seconds()
    {
        var check = await Tool.OutlierAsync("check", "--bootstrap", "127.0.0.1:1");
        Assert.Equal(1, check.Code);
        Assert.Contains("127.0.0.1:1 does not answer", check.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(2, "score")]
    [InlineData(2, "replay", "--input", "x")]
    [InlineData(2, "check")]
    [InlineData(2, "no-such-command")]
    [InlineData(2, "no-such-command", "--help")]
    [InlineData(1, "score", "--model", "models/street-demo", "--input", "docs/images", "--out", "models")]
    [InlineData(1, "score", "--model", "models/street-demo", "--input", "docs/images", "--out", "README.md/scores.csv")]
    [InlineData(1, "score", "--model", "models/street-demo", "--input", "docs/images", "--out", "/proc/scores.csv")]
    [InlineData(1, "evaluate", "--model", "models/street-demo", "--normal", "docs/images", "--out", "README.md")]
    [InlineData(1, "calibrate", "--model", "models/street-demo", "--frames", "docs/images", "--out", "README.md/model")]
    [InlineData(1, "sample", "--model", "models/street-demo", "--out", "docs")]
    [InlineData(1, "score", "--model", "models/street-demo", "--input", "README.md", "--out", "x.csv")]
    [InlineData(1, "score", "--model", "nowhere", "--input", ".", "--out", "x.csv")]
    [InlineData(1, "replay", "--input", "nowhere", "--camera", "c", "--bootstrap", "127.0.0.1:1")]
    [InlineData(1, "check", "--bootstrap", "127.0.0.1:1", "--client", "no.such.property=1")]
    [InlineData(1, "bench", "--model", "nowhere")]
    [InlineData(1, "bench", "--model", "models/street-demo", "--batch", "1,x")]
    [InlineData(1, "bench", "--model", "models/street-demo", "--compare", "README.md")]
    [InlineData(1, "load", "--bootstrap", "127.0.0.1:1", "--cameras", "0")]
    public async Task Wrong_use_ends_with_2_and_a_failed_run_with_1_and_one_line(int code, params string[] arguments)
    {
        var run = await Tool.OutlierAsync(arguments);
        Assert.True(run.Code == code, $"{run.Code}: {run.Output}{run.Error}");
        Assert.NotEmpty(run.Error.Trim());
        if (code == 1) Assert.Single(run.Error.TrimEnd().Split('\n'));
    }

    [Fact]
    public async Task The_trainers_help_is_that_of_the_command_that_users_type()
    {
        var help = await Tool.RunAsync("dotnet", ["exec", Tool.Trainer, "--help"]);
        Assert.Equal(0, help.Code);
        Assert.Contains("outlier train [options]", help.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("OutlierPipeline.Training", help.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_video_whose_name_has_a_colon_is_scored_and_replayed_with_its_own_times()
    {
        Repository.Needs("ffmpeg");
        const string Name = "2026-11-25T03:00:00.mkv";
        // Frames 0, 1 and 12 of ten a second.
        var made = await Tool.RunAsync("ffmpeg", ["-v", "error", "-f", "lavfi", "-i", "testsrc=s=160x96:r=10:d=2", "-vf",
            "select='lt(n,2)+eq(n,12)'", "-fps_mode", "passthrough", "-c:v", "mjpeg", "file:" + Name], directory: _directory);
        Assert.True(made.Code == 0, made.Error);
        var scored = await Tool.RunAsync("dotnet", ["exec", Tool.Outlier, "score", "--model", Repository.StreetDemo, "--input", Name,
            "--out", "scores.csv"], directory: _directory);
        Assert.True(scored.Code == 0, scored.Error);
        Assert.Equal(4,
            (await File.ReadAllLinesAsync(Path.Combine(_directory, "scores.csv"), TestContext.Current.CancellationToken)).Length);
        using var cluster = new TestCluster(1);
        var replayed = await Tool.RunAsync("dotnet", ["exec", Tool.Outlier, "replay", "--input", Name, "--camera", "car-5/front",
            "--bootstrap", cluster.BootstrapServers], directory: _directory);
        Assert.True(replayed.Code == 0, replayed.Error);
        long[] stamps = [.. cluster.ReadAll(TestCluster.Frames).Select(record =>
            long.Parse(record.Message.Headers.GetLastBytes("frame-timestamp"), CultureInfo.InvariantCulture))];
        Assert.Equal(3, stamps.Length);
        Assert.True(stamps[2] - stamps[1] >= 1_000_000_000, $"the gap of 1.1 s was replayed in {(stamps[2] - stamps[1]) / 1e9:0.000} s");
    }

    [Fact]
    public async Task Replay_of_a_frame_that_the_client_does_not_take_sends_the_others()
    {
        byte[][] frames = SmallFrames.Drive(5, 4);
        Array.Resize(ref frames[1], 20_000);
        Write("drive", frames);
        using var cluster = new TestCluster(1);
        var replayed = await Tool.OutlierAsync("replay", "--input", Path.Combine(_directory, "drive"), "--camera", "c", "--fps", "0",
            "--bootstrap", cluster.BootstrapServers, "--client", "message.max.bytes=10000");
        Assert.Equal(1, replayed.Code);
        Assert.Contains("00001.jpg: its 20000 bytes are more than camera.frames takes: raise --client message.max.bytes", replayed.Error,
            StringComparison.Ordinal);
        Assert.Equal(3, cluster.ReadAll(TestCluster.Frames).Count);
    }

    private void Write(string drive, byte[][] frames)
    {
        string directory = Directory.CreateDirectory(Path.Combine(_directory, drive)).FullName;
        for (int i = 0; i < frames.Length; i++)
            File.WriteAllBytes(Path.Combine(directory, string.Create(CultureInfo.InvariantCulture, $"{i:00000}.jpg")), frames[i]);
    }
}
