using OutlierPipeline.Detection;
using OutlierPipeline.Inference;
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

    /// <summary>Six hours at a frame a second: normal, strange, normal again.</summary>
    private static List<bool> Run(int cameras, int strange)
    {
        var monitor = new DriftMonitor(Package, new DetectionOptions());
        var random = new Random(3);
        var changes = new List<bool>();
        for (int second = 0; second < 6 * 3600; second++)
        {
            bool troubled = second is > 2 * 3600 and < 4 * 3600;
            for (int camera = 0; camera < cameras; camera++)
            {
                double p = random.NextDouble() * (troubled && camera < strange ? 0.1 : 1);
                if (monitor.Observe($"car-{camera}", p, TimeSpan.FromSeconds(second == 0 ? 0 : 1), DateTimeOffset.UnixEpoch.AddSeconds(second))) changes.Add(monitor.IsDrifting);
            }
        }
        return changes;
    }
}
