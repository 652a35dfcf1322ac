using OutlierPipeline.Detection;
using OutlierPipeline.Models;
using OutlierPipeline.Tests.Support;

namespace OutlierPipeline.Tests.Detection;

public sealed class DriftMonitorTests
{
    private static readonly ModelPackage Package = ModelPackage.Load(Repository.StreetDemo);

    [Fact]
    public void A_fleet_whose_p_values_stay_low_drifts_once_and_is_well_again_once()
    {
        var changes = Run(cameras: 8, strange: 8);
        Assert.Equal([true, false], changes);
    }

    [Theory]
    [InlineData(8, 3)]
    [InlineData(4, 4)]
    [InlineData(8, 0)]
    public void A_few_strange_cameras_or_too_small_a_fleet_are_no_drift(int cameras, int strange) => Assert.Empty(Run(cameras, strange));

    [Fact]
    public void What_a_partition_brings_with_it_is_taken_over_and_an_end_that_was_told_is_an_end()
    {
        var options = new DetectionOptions();
        var (first, second, other) = (new DriftMonitor(Package, "group", options), new DriftMonitor(Package, "group", options),
            new DriftMonitor(Package, "another group", options));
        first.Merge("""{"schema":1,"episode":3,"isDrifting":true}"""u8);
        Assert.Equal((true, 3), (first.IsDrifting, first.Episode));
        second.Merge(first.ToRecord());
        Assert.Equal(first.Incident, second.Incident);
        other.Merge(first.ToRecord());
        Assert.NotEqual(first.Incident, other.Incident);
        second.Merge("""{"schema":1,"episode":3,"isDrifting":false}"""u8);
        Assert.False(second.IsDrifting);
        second.Merge("""{"schema":1,"episode":2,"isDrifting":true}"""u8);
        Assert.Equal((false, 3), (second.IsDrifting, second.Episode));
        foreach (string record in new[] { "", "{", "[]", "{}", """{"episode":"x","isDrifting":true}""" })
            second.Merge(System.Text.Encoding.UTF8.GetBytes(record));
        Assert.Equal((false, 3), (second.IsDrifting, second.Episode));
    }

    /// <summary>Six hours at a frame a second: normal, strange, normal again.</summary>
    private static List<bool> Run(int cameras, int strange)
    {
        var monitor = new DriftMonitor(Package, "group", new DetectionOptions());
        var means = new double[cameras];
        double share = 1 - Math.Exp(-1 / 1800.0);
        var random = new Random(3);
        var changes = new List<bool>();
        for (int second = 0; second < 6 * 3600; second++)
        {
            bool troubled = second is > 2 * 3600 and < 4 * 3600;
            for (int camera = 0; camera < cameras; camera++)
            {
                double p = random.NextDouble() * (troubled && camera < strange ? 0.1 : 1);
                means[camera] += (second == 0 ? 1 : share) * (p - means[camera]);
                if (monitor.Observe($"car-{camera}", means[camera], TimeSpan.FromSeconds(second),
                    DateTimeOffset.UnixEpoch.AddSeconds(second))) changes.Add(monitor.IsDrifting);
            }
        }
        return changes;
    }
}
