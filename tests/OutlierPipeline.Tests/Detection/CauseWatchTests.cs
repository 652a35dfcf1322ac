using OutlierPipeline.Alerts;
using OutlierPipeline.Detection;
using OutlierPipeline.Tests.Support;

namespace OutlierPipeline.Tests.Detection;

/// <summary>What a camera's strange frames look like, against its own normal ones.</summary>
public sealed class CauseWatchTests : IDisposable
{
    private readonly CauseWatch _watch = new(PackageWithCauses.Causes(2));
    private readonly string _directory = Directory.CreateTempSubdirectory("outlier-test-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public void Without_strange_frames_or_without_profiles_nothing_is_said()
    {
        for (int i = 0; i < 20; i++) _watch.Add([5, 0], isStrange: false, isQuiet: true);
        _watch.Add([], isStrange: true, isQuiet: false);
        Assert.Null(_watch.Now());
    }

    [Fact]
    public void A_camera_s_own_normal_frames_are_what_strange_ones_are_held_against()
    {
        _watch.Add([3, 10], isStrange: true, isQuiet: false);
        Assert.Equal("blur", _watch.Now()?.Name);
        for (int i = 0; i < 20; i++) _watch.Add([i % 2 == 0 ? -1 : 1, 10], isStrange: false, isQuiet: true);
        Assert.Null(_watch.Now());
        _watch.Add([3, 10], isStrange: true, isQuiet: false);
        Assert.Equal("fog", _watch.Now()?.Name);
    }

    [Fact]
    public void The_last_strange_frames_count_and_those_between_them_that_are_not_strange_do_not()
    {
        for (int i = 0; i < 10; i++) _watch.Add([4, 0], isStrange: true, isQuiet: false);
        for (int i = 0; i < 10; i++) _watch.Add([0, 0], isStrange: false, isQuiet: false);
        Assert.Equal("fog", _watch.Now()?.Name);
        for (int i = 0; i < 6; i++) _watch.Add([0, 4], isStrange: true, isQuiet: false);
        Assert.Equal("blur", _watch.Now()?.Name);
        _watch.Forget();
        Assert.Null(_watch.Now());
    }

    [Fact]
    public void What_lies_between_causes_is_unknown()
    {
        _watch.Add([4, 4], isStrange: true, isQuiet: false);
        Assert.Equal(new Cause(Cause.Unknown, 0), _watch.Now());
    }

    [Fact]
    public void Nothing_is_allocated_for_a_frame()
    {
        float[] profile = [1, 2];
        _watch.Add(profile, isStrange: true, isQuiet: false);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 1000; i++) _watch.Add(profile, i % 2 == 0, isQuiet: i % 3 == 0);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    [Fact]
    public void An_incident_that_opens_and_escalates_carries_its_cause_and_one_that_closes_or_stands_still_does_not()
    {
        var package = PackageWithCauses.Write(Path.Combine(_directory, "package"));
        var calibration = package.Default.Calibration;
        float[] strange = [.. calibration.Location.Zip(calibration.Scale, (location, scale) => (float)(location + 5 * scale))];
        float[] normal = [.. calibration.Location.Select(location => (float)location)];
        float[] fog = new float[package.Causes!.Profile];
        fog[0] = 3;
        var detector = new CameraDetector("car-1", package, new DetectionOptions());
        var alerts = new List<AlertStep>();
        int offset = 0;
        Play(30, normal, new float[fog.Length]);
        Play(100, strange, fog);
        Play(200, normal, new float[fog.Length]);
        Assert.Equal([AlertType.Opened, AlertType.Escalated, AlertType.Closed], alerts.Select(alert => alert.Type));
        Assert.Equal(["fog", "fog", null], alerts.Select(alert => alert.Cause?.Name));
        Assert.StartsWith("Picture looks like fog, 1.0. ", alerts[0].Reason, StringComparison.Ordinal);
        alerts.Clear();
        Play(100, normal, fog, isFrozen: true);
        Assert.Equal(AlertKind.Frozen, alerts[0].Kind);
        Assert.Null(alerts[0].Cause);

        void Play(int frames, float[] scores, float[] profile, bool isFrozen = false)
        {
            byte[] pixels = new byte[192];
            for (int i = 0; i < frames; i++)
            {
                new Random(isFrozen ? 0 : offset).NextBytes(pixels);
                detector.Observe(new FrameObservation
                {
                    Frame = new FrameRef("camera.frames", 0, offset, 1_000_000_000_000 + offset++ * 100_000_000L),
                    Scores = scores,
                    ErrorMap = new float[package.Card.Network.ErrorMapHeight * package.Card.Network.ErrorMapWidth],
                    Profile = profile,
                    Pixels = pixels,
                }, alerts);
            }
        }
    }
}
