using OutlierPipeline.Detection;
using OutlierPipeline.Models;

namespace OutlierPipeline.Tests.Detection;

/// <summary>What is gathered of normal drives, and what is left out.</summary>
public sealed class NormalDrivesTests
{
    private const long Second = 1_000_000_000;
    private static readonly TimeSpan Gap = TimeSpan.FromMinutes(5);
    private static readonly Calibration Judge = Calibration.Fit(["a"], ["a"],
        [.. Enumerable.Range(0, 200).Select(i => new[] { i * 61 % 200 / 200f })]);
    private readonly NormalDrives _drives = new(Judge, Gap);

    [Fact]
    public void A_drive_ends_at_a_gap_and_after_an_hour_and_cameras_are_apart()
    {
        Assert.Null(Add("a", 0, 100));
        Assert.Null(Add("b", 0, 100));
        var ended = Add("a", 100 + 301, 1);
        Assert.Equal(("a", 0L, 99 * Second), (ended!.Camera, ended.FromNanoseconds, ended.ToNanoseconds));
        Assert.Equal((100, 1.0), (ended.Rows.Length, ended.StepSeconds));
        // Not a gap: 299 s.
        Assert.Null(Add("b", 99 + 299, 1));
        Assert.Equal(101, Add("b", 2000, 1)!.Rows.Length);
        Assert.Null(Add("a", 420, 3580));
        var hour = Add("a", 4020, 1);
        Assert.Equal((401 * Second, 3999 * Second), (hour!.FromNanoseconds, hour.ToNanoseconds));
        // Of b one frame is open, of a one: too short.
        Assert.Empty(_drives.Close());
        Assert.Equal((2, 0), (_drives.ShortDrives, _drives.StrangeDrives));
    }

    [Fact]
    public void A_tenth_of_strange_frames_is_normal_and_more_is_not()
    {
        for (int i = 0; i < 100; i++) _drives.Add("a", i * Second, [i % 10 == 0 ? 9 : 0.3f], false);
        Assert.Equal(100, Assert.Single(_drives.Close()).Rows.Length);
        for (int i = 0; i < 100; i++) _drives.Add("a", i * Second, [i == 5 || i % 10 == 0 ? 9 : 0.3f], false);
        Assert.Empty(_drives.Close());
        Assert.Equal(1, _drives.StrangeDrives);
    }

    [Fact]
    public void Time_in_incidents_what_led_to_them_and_ten_seconds_around_it_are_left_out()
    {
        // Strange in the incident, long before and after it: the drive is normal all the same.
        for (int i = 0; i < 300; i++) _drives.Add("a", i * Second, [i is > 131 and < 258 ? 9 : 0.3f], i is >= 240 and < 250);
        var drive = Assert.Single(_drives.Close());
        // Up to 122, and from 259 on.
        Assert.Equal(123 + 41, drive.Rows.Length);
        Assert.All(drive.Rows, row => Assert.Equal(0.3f, row[0]));
        Assert.Equal(1.0, drive.StepSeconds);
    }

    [Fact]
    public void What_led_to_an_incident_without_strange_scores_is_left_out_for_as_long_as_it_takes_to_be_found()
    {
        for (int i = 0; i < 200; i++) _drives.Add("a", i * Second, [i / 400f], i is >= 150 and < 160);
        var drive = Assert.Single(_drives.Close());
        // Up to 50, and from 169 on.
        Assert.Equal(51 + 31, drive.Rows.Length);
        Assert.DoesNotContain(drive.Rows, row => row[0] is > 50 / 400f and < 169 / 400f);
    }

    [Fact]
    public void Fast_cameras_and_long_drives_are_sampled_evenly_and_memory_is_bounded()
    {
        for (int i = 0; i < 30 * 60; i++) _drives.Add("fast", i * Second / 30, [0.3f], false);
        Assert.InRange(Assert.Single(_drives.Close()).Rows.Length, 58, 63);
        for (int i = 0; i < 3600; i++) _drives.Add("long", i * Second, [i / 7200f], false);
        var drive = Assert.Single(_drives.Close());
        Assert.InRange(drive.Rows.Length, NormalDrives.MaxSample / 2, NormalDrives.MaxSample);
        Assert.Equal(8.0, drive.StepSeconds);
        Assert.InRange(drive.Rows[^1][0], 3580 / 7200f, 0.5f);
        for (int camera = 0; camera < 300; camera++)
        {
            for (int i = 0; i < 30; i++) _drives.Add($"{camera}", i * Second, [0.3f], false);
        }
        Assert.Equal(200, _drives.Close().Count);
        // A score that is no number, and a clock that steps back.
        for (int i = 0; i < 50; i++) _drives.Add("a", (100 + i) * Second, [i % 2 == 0 ? float.NaN : 0.3f], false);
        Assert.Equal(25, _drives.Add("a", 0, [0.3f], false)!.Rows.Length);
        Assert.Empty(_drives.Close(before: 0));
        Assert.Empty(_drives.Close());
    }

    private NormalDrive? Add(string camera, int from, int frames)
    {
        NormalDrive? ended = null;
        for (int i = 0; i < frames; i++) ended = _drives.Add(camera, (from + i) * Second, [0.3f], false) ?? ended;
        return ended;
    }
}
