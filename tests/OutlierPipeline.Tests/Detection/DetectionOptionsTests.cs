using OutlierPipeline.Detection;

namespace OutlierPipeline.Tests.Detection;

public sealed class DetectionOptionsTests
{
    /// <summary>691,200 independent observations a day: one each 125 ms.</summary>
    private const double Observations = 691_200;

    [Fact]
    public void False_alarms_a_camera_day_say_how_much_evidence_opens_an_incident()
    {
        Assert.Equal(0.1, new DetectionOptions().FalseIncidentsPerCameraDay, 1e-12);
        var rare = new DetectionOptions { FalseAlarmsPerCameraDay = 0.01 };
        Assert.Equal(0.01 / Observations, rare.FalseAlarmProbability, 1e-15);
        Assert.Equal(0.01, rare.FalseIncidentsPerCameraDay, 1e-12);
        Assert.Empty(rare.Validate());
    }

    [Fact]
    public void The_older_key_still_works_and_counts_where_both_are_given()
    {
        var older = new DetectionOptions { FalseAlarmProbability = 1e-6, FalseAlarmsPerCameraDay = 5 };
        Assert.Equal(1e-6, older.FalseAlarmProbability);
        Assert.Equal(1e-6 * Observations, older.FalseIncidentsPerCameraDay, 1e-9);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(1001)]
    [InlineData(double.NaN)]
    public void What_is_out_of_range_is_named(double perDay)
    {
        var options = new DetectionOptions { FalseAlarmsPerCameraDay = perDay };
        Assert.Contains(options.Validate(), message =>
            message.StartsWith("Detection:FalseAlarmsPerCameraDay is ", StringComparison.Ordinal));
    }
}
