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
    [InlineData(AlertKind.Scene, "colour",
        "Colours of the picture unusual (whole frame) for 5.0 s, most by its colour score (certainty: odds 10^43 against normal)")]
    [InlineData(AlertKind.Obstruction, "local",
        "One place of the picture unlike normal footage for 5.0 s, most by its local score (certainty: odds 10^43 against normal)")]
    public void Each_kind_says_what_is_wrong_and_for_how_long(AlertKind kind, string? score, string expected) =>
        Assert.Equal(expected, Of(kind, score, isMisfit: false));

    [Fact]
    public void A_camera_that_never_fitted_names_the_command_that_makes_it_fit() =>
        Assert.EndsWith("Calibrate for it: outlier calibrate", Of(AlertKind.Scene, "local", isMisfit: true), StringComparison.Ordinal);

    private static string Of(AlertKind kind, string? score, bool isMisfit) =>
        AlertText.Of(new OpenIncident("id", kind, Severity.Warning, 1, default, score, 0, 43), 5, isMisfit, undecodable: 12,
        "outlier calibrate");
}
