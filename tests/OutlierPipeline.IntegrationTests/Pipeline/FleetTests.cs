using System.Globalization;
using System.Text;
using System.Text.Json;
using OutlierPipeline.Alerts;
using OutlierPipeline.Detection;
using OutlierPipeline.Footage.Simulation;
using OutlierPipeline.IntegrationTests.Support;
using OutlierPipeline.Models;
using OutlierPipeline.Pipeline;

namespace OutlierPipeline.IntegrationTests.Pipeline;

/// <summary>What concerns all cameras together: drift, and how many there may be.</summary>
[Collection(MeasuredTests.Name)]
public sealed class FleetTests
{
    private const int CamerasEach = 6;
    private static readonly byte[][] Street = SmallFrames.FullDrive(1, 20);
    private static readonly byte[][] Fog = SmallFrames.FullDrive(1, 20, Trouble.Fog);
    private long _time = (DateTimeOffset.UtcNow - DateTimeOffset.UnixEpoch).Ticks * 100;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Drift_is_one_incident_of_the_fleet_through_a_restart_and_a_rebalance_and_over_two_replicas(bool onKafka)
    {
        using var cluster = await TestCluster.StartAsync(onKafka, 2);
        var options = cluster.Options();
        options = options with
        {
            Detection = options.Detection with
            {
                DriftAfter = TimeSpan.FromSeconds(40),
                DriveGap = TimeSpan.FromHours(1)
            }
        };
        int sent = 0;
        await using (var first = new RunningPipeline(options))
        {
            await UntilAsync(first, Fog, () => first.Alerts.Any(alert => alert.Kind == AlertKind.Drift), "the drift being opened");
            await first.StopAsync();
        }
        // A restart, and a second replica that takes a partition: neither opens it again, and its end is told once.
        await using var second = new RunningPipeline(options);
        await UntilAsync(second, Fog, () => cluster.Committed().Values.Sum() >= sent - 50, "reading on");
        await using var third = new RunningPipeline(options);
        await UntilAsync(second, Fog, () => third.NotReady.Count == 0
            && third.Log.Messages.Any(message => message.Contains("is assigned", StringComparison.Ordinal)), "sharing the partitions");
        for (int i = 0; i < 10; i++) Send(Fog);
        await UntilAsync(second, Street, () => Drifts().Any(alert => alert.Type == "outlier.alert.closed"), "the drift being closed");
        var drifts = Drifts();
        Assert.Single(drifts.Select(alert => alert.Subject).Distinct());
        Assert.Equal(2, drifts.Select(alert => alert.Id).Distinct().Count());
        Assert.Contains(cluster.ReadAll(TestCluster.State), record => record.Message.Key.StartsWith("\0drift:", StringComparison.Ordinal)
            && record.Partition == 0);
        Assert.Contains(cluster.ReadAll(TestCluster.State), record => record.Message.Key.StartsWith("\0drift:", StringComparison.Ordinal)
            && record.Partition == 1);

        async Task UntilAsync(RunningPipeline pipeline, byte[][] frames, Func<bool> condition, string what) => await pipeline.Until(() =>
        {
            Send(frames);
            return condition();
        }, what);

        void Send(byte[][] frames)
        {
            // Five seconds of the cameras' time in a moment; the pipeline is not outrun.
            if (sent - cluster.Committed().Values.Sum(offset => Math.Max(0, offset)) > 300) return;
            _time += 5_000_000_000;
            for (int partition = 0; partition < 2; partition++)
            {
                for (int camera = 0; camera < CamerasEach; camera++, sent++)
                    cluster.Produce($"car-{partition}-{camera}", frames[(sent / 12 + camera) % frames.Length], partition,
                        ("frame-timestamp", _time.ToString(CultureInfo.InvariantCulture)));
            }
            cluster.Flush();
        }

        (string Type, string Subject, string Id)[] Drifts() =>
        [
            .. cluster.ReadAll(TestCluster.Alerts).Select(record => JsonDocument.Parse(record.Message.Value).RootElement)
                .Where(alert => alert.GetProperty("data").GetProperty("kind").GetString() == "drift")
                .Select(alert =>
                (alert.GetProperty("type").GetString()!, alert.GetProperty("subject").GetString()!, alert.GetProperty("id").GetString()!)),
        ];
    }

    [Fact]
    public async Task At_the_limit_cameras_of_one_frame_make_room_and_only_then_a_new_one_is_refused()
    {
        using var cluster = new TestCluster(1);
        var options = cluster.Options();
        options = options with { Kafka = options.Kafka with { MaxCameras = 10 } };
        // Four cameras that go on, six that were seen once; then three more, of which each takes the place of the oldest.
        for (int round = 0; round < 2; round++)
            for (int i = 0; i < 4; i++) cluster.Produce($"real-{i}", Street[round]);
        for (int i = 0; i < 6; i++) cluster.Produce($"once-{i}", Street[i]);
        for (int i = 0; i < 3; i++) cluster.Produce($"late-{i}", Street[i]);
        cluster.Flush();
        await using (var first = new RunningPipeline(options))
        {
            await first.Until(() => cluster.Committed()[0] == 17, "everything being committed");
            await first.StopAsync();
        }
        Assert.Empty(cluster.ReadAll(TestCluster.DeadLetters));
        Assert.Equal(["late-0", "late-1", "late-2", "once-3", "once-4", "once-5", "real-0", "real-1", "real-2", "real-3"], Known());
        // After a restart too; and once all go on, a new one is refused while the known ones are not.
        foreach (string camera in Known().Where(camera => !camera.StartsWith("once-3", StringComparison.Ordinal)))
            cluster.Produce(camera, Street[2]);
        cluster.Produce("new-0", Street[0]);
        cluster.Produce("new-0", Street[1]);
        cluster.Produce("new-1", Street[0]);
        foreach (string camera in Known().Where(camera => !camera.StartsWith("once-3", StringComparison.Ordinal)))
            cluster.Produce(camera, Street[3]);
        cluster.Flush();
        int total = 17 + 9 + 3 + 9;
        await using var second = new RunningPipeline(options);
        await second.Until(() => cluster.Committed()[0] == total, "everything being committed");
        var refused = cluster.ReadAll(TestCluster.DeadLetters).Single();
        Assert.Equal("new-1", refused.Message.Key);
        Assert.Equal("TooManyCameras", Encoding.UTF8.GetString(refused.Message.Headers.GetLastBytes("error.reason")));
        Assert.Contains("new-0", Known());
        Assert.DoesNotContain("once-3", Known());

        string[] Known() =>
        [
            .. cluster.ReadAll(TestCluster.State).Where(record => !record.Message.Key.StartsWith('\0')).GroupBy(record =>
            record.Message.Key)
                .Where(camera => camera.Last().Message.Value is not null).Select(camera => camera.Key).Order(StringComparer.Ordinal),
        ];
    }

    [Fact]
    public void An_idle_camera_takes_at_most_a_KiB()
    {
        const int Cameras = 20_000;
        var package = ModelPackage.Load(Repository.StreetDemo);
        var options = new DetectionOptions();
        var keys = new CameraKeys();
        var assignment = new PartitionAssignment(new Confluent.Kafka.TopicPartition(TestCluster.Frames, 0), 1, 0);
        long before = GC.GetTotalMemory(forceFullCollection: true);
        byte[] pixels = new byte[package.Card.Network.Size.Bytes];
        var record = new System.Buffers.ArrayBufferWriter<byte>();
        for (int i = 0; i < Cameras; i++)
        {
            new Random(i).NextBytes(pixels);
            // Everything that is kept of a camera: its key, and its detector or its state.
            var key = keys.Deserialize(Encoding.UTF8.GetBytes($"fleet-7/vehicle-{i:000000}/camera-front"), false,
                Confluent.Kafka.SerializationContext.Empty);
            var detector = new CameraDetector(key.Camera!, package, options);
            float[] scores = [.. package.Default.Calibration.Location.Select(location => (float)location)];
            detector.Observe(new FrameObservation
            {
                Frame = new FrameRef(TestCluster.Frames, 0, i, _time),
                Record = new RecordTime(_time / 1_000_000, DateTimeOffset.UtcNow),
                Scores = scores,
                ErrorMap = new float[package.Card.Network.ErrorMapHeight * package.Card.Network.ErrorMapWidth],
                Pixels = pixels
            }, []);
            assignment.Detectors[key.Camera!] = detector;
            record.Clear();
            detector.WriteState(record, DateTimeOffset.UtcNow);
            Assert.False(detector.IsIdle(TimeSpan.FromSeconds(10)));
            Assert.True(detector.IsIdle(TimeSpan.FromSeconds(31)));
            assignment.Rest(key.Camera!);
        }
        long each = (GC.GetTotalMemory(forceFullCollection: true) - before) / Cameras;
        Assert.InRange(each, 1, 1024);
        Assert.Equal((0, Cameras), (assignment.Detectors.Count, assignment.Restored.Count));
        GC.KeepAlive(keys);
    }
}
