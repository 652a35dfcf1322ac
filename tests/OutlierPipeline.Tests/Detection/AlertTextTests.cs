using OutlierPipeline.Alerts;
using OutlierPipeline.Detection;

namespace OutlierPipeline.Tests.Detection;

/// <summary>What an alert says first is for the person who is woken.</summary>
public sealed class AlertTextTests
{
    [Theory]
    [InlineData(AlertKind.Frozen, null, "Picture frozen: unchanged for 5.0 s")]
    [InlineData(AlertKind.Silent, null, "No frames for 5 s")]
    [InlineData(AlertKind.Undecodable, "Truncated", "12 frames in a row cannot be decoded (Truncated)")]
    [InlineData(AlertKind.Dark, "bands", "Picture nearly black for 5.0 s (certainty: odds 10^43 against normal)")]
    [InlineData(AlertKind.Scene, "bands",
        "Picture unlike normal footage (whole frame) for 5.0 s, most by its bands score (certainty: odds 10^43 against normal)")]
    [InlineData(AlertKind.Obstruction, "local",
        "One place of the picture unlike normal footage for 5.0 s, most by its local score (certainty: odds 10^43 against normal)")]
    public void Each_kind_says_what_is_wrong_and_for_how_long(AlertKind kind, string? score, string expected) =>
        Assert.Equal(expected, Of(kind, score, isMisfit: false));

    [Theory]
    [InlineData(AlertTest.Onset, false, "Picture unlike what the camera showed before (whole frame) for 5.0 s, by its onset, most by its ")]
    [InlineData(AlertTest.Level, false, "Picture unlike normal footage (whole frame) for 5.0 s, by its level, most by its ")]
    [InlineData(AlertTest.Level, true,
        "Picture unlike normal footage (whole frame) for 5.0 s, by its level against training footage, most by its ")]
    public void Where_there_are_two_tests_it_names_the_one_that_fired_and_what_it_was_calibrated_on(AlertTest test, bool isBootstrap,
        string expected) =>
        Assert.StartsWith(expected, Of(AlertKind.Scene, "residual", isMisfit: false, test, isBootstrap), StringComparison.Ordinal);

    [Fact]
    public void A_camera_that_never_fitted_names_the_command_that_makes_it_fit() =>
        Assert.EndsWith("Calibrate for it: outlier calibrate", Of(AlertKind.Scene, "local", isMisfit: true), StringComparison.Ordinal);

    [Theory]
    [InlineData(AlertKind.Scene, "Picture looks like fog, 0.9. Picture unlike normal footage (whole frame) for 5.0 s, ")]
    [InlineData(AlertKind.Obstruction, "Picture looks like fog, 0.9. One place of the picture unlike normal footage for 5.0 s, ")]
    [InlineData(AlertKind.Dark, "Picture nearly black for 5.0 s")]
    [InlineData(AlertKind.Frozen, "Picture frozen: unchanged for 5.0 s")]
    public void It_says_what_the_picture_looks_like_where_that_is_news(AlertKind kind, string expected)
    {
        var incident = new OpenIncident("id", kind, Severity.Warning, 1, default, "residual", 0, 43);
        Assert.StartsWith(expected, AlertText.Of(incident, 5, false, false, 12, "", new Cause("fog", 0.93)), StringComparison.Ordinal);
        Assert.Equal(AlertText.Of(incident, 5, false, false, 12, ""), AlertText.Of(incident, 5, false, false, 12, "",
            new Cause(Cause.Unknown, 0)));
    }

    [Fact]
    public void It_says_along_what_the_picture_is_unusual_but_not_behind_a_command()
    {
        var incident = new OpenIncident("id", AlertKind.Scene, Severity.Warning, 1, default, "bands", 0, 43);
        UnusualDimension[] along = [new("sun height", -6.2), new("dimension 7", 3.4)];
        Assert.EndsWith(" against normal). Unusual along: sun height, 6 σ; dimension 7, 3 σ", AlertText.Of(incident, 5, false, false, 0, "",
            null, along), StringComparison.Ordinal);
        Assert.EndsWith("outlier calibrate", AlertText.Of(incident, 5, true, false, 0, "outlier calibrate", null, along),
            StringComparison.Ordinal);
    }

    private static string Of(AlertKind kind, string? score, bool isMisfit, AlertTest? test = null,
        bool isBootstrap = false) =>
        AlertText.Of(new OpenIncident("id", kind, Severity.Warning, 1, default, score, 0, 43, test), 5, isMisfit, isBootstrap,
        undecodable: 12, "outlier calibrate");
}
