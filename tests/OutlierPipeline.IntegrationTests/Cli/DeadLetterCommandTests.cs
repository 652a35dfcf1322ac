using System.Text;
using OutlierPipeline.IntegrationTests.Support;

namespace OutlierPipeline.IntegrationTests.Cli;

/// <summary>Dead letters can be worked with.</summary>
public sealed class DeadLetterCommandTests
{
    [Fact]
    public async Task Dead_letters_are_counted_and_go_back_with_their_own_stamps_after_a_dry_run()
    {
        byte[] good = SmallFrames.Drive(1, 1)[0];
        using var cluster = new TestCluster(2);
        var taken = DateTimeOffset.FromUnixTimeSeconds(DateTimeOffset.UtcNow.ToUnixTimeSeconds() - 3600);
        cluster.ProduceAt(taken, "car-1", good, 1, ("frame-timestamp", "yesterday"), ("vehicle", "7"));
        cluster.ProduceAt(taken.AddSeconds(60), "car-2", [1, 2, 3], 0);
        cluster.ProduceAt(taken.AddSeconds(120), "car-2", good[..(good.Length / 2)], 0);
        cluster.Flush();
        await using (var pipeline = new RunningPipeline(cluster.Options())) await pipeline.Until(() =>
            cluster.Committed().Values.Sum() == 3, "everything being committed");

        var all = await Outlier("list");
        Assert.True(all.Code == 0, all.Error);
        foreach (string word in new[] { "InvalidHeader", "NotAnImage", "Truncated", "car-1", "car-2", "camera.frames[1]@0",
            "3 dead letters on camera.frames.dlq" }) Assert.Contains(word, all.Output, StringComparison.Ordinal);
        var some = await Outlier("list", "--camera", "car-2", "--from", taken.AddSeconds(90).ToString("O"));
        Assert.Contains("1 dead letters", some.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("NotAnImage", some.Output, StringComparison.Ordinal);

        var dry = await Outlier("replay", "--reason", "InvalidHeader");
        Assert.True(dry.Code == 0, dry.Error);
        Assert.Contains("1 dead letters would go to camera.frames. Add --send", dry.Output, StringComparison.Ordinal);
        Assert.Equal(3, cluster.ReadAll(TestCluster.Frames).Count);
        var sent = await Outlier("replay", "--reason", "InvalidHeader", "--send");
        Assert.True(sent.Code == 0, sent.Error);
        Assert.Contains("1 dead letters sent to camera.frames", sent.Output, StringComparison.Ordinal);
        var back = cluster.ReadAll(TestCluster.Frames).Single(record => record.Partition == 1 && record.Offset == 1);
        Assert.Equal(("car-1", taken.ToUnixTimeMilliseconds()), (back.Message.Key, back.Message.Timestamp.UnixTimestampMs));
        Assert.Equal(good, back.Message.Value);
        Assert.Equal(["frame-timestamp", "vehicle"], back.Message.Headers.Select(header => header.Key));
        Assert.Equal("7", Encoding.UTF8.GetString(back.Message.Headers.GetLastBytes("vehicle")));

        var missing = await Outlier("list", "--topic", "no.such.topic.here");
        Assert.True(missing.Code is 0 or 1, missing.Error);

        Task<(int Code, string Output, string Error)> Outlier(string command, params string[] more) =>
            Tool.OutlierAsync(["deadletters", command, "--bootstrap", cluster.BootstrapServers, "--client",
            "fetch.wait.max.ms=5", .. more]);
    }

    [Fact]
    public async Task Check_tells_wrong_clocks_and_a_header_that_names_cameras_better_than_the_key()
    {
        byte[] good = SmallFrames.Drive(1, 1)[0];
        using var cluster = new TestCluster(1);
        for (int i = 0; i < 10; i++)
            cluster.Produce(Guid.NewGuid().ToString(), good, 0, ("camera-id", $"front-{i % 2}"),
                ("frame-timestamp", DateTimeOffset.UtcNow.ToUnixTimeMilliseconds()
                .ToString(System.Globalization.CultureInfo.InvariantCulture)));
        cluster.Flush();
        var check = await Tool.OutlierAsync("check", "--bootstrap", cluster.BootstrapServers, "--model", Repository.StreetDemo, "--client",
            "fetch.wait.max.ms=5");
        Assert.Contains("Frames:CameraId=header:camera-id", check.Output, StringComparison.Ordinal);
        Assert.Contains("not in nanoseconds", check.Output, StringComparison.Ordinal);
    }
}
