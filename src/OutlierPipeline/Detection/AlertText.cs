using System.Globalization;
using OutlierPipeline.Alerts;

namespace OutlierPipeline.Detection;

/// <summary>Every sentence that an alert says. Its first words are for the person who is woken.</summary>
internal static class AlertText
{
    public const string DriveEnded = "The drive ended";

    public const string Absorbed = "The change has stayed and counts as normal for this camera from now on";

    public const string SpotIsGone = "The place moves with the rest of the picture again";

    public const string Forgotten = "The camera has not been seen for long and is forgotten";

    public const string FleetIsWell = "Most cameras are normal again";

    /// <param name="isMisfit">The camera was strange from its first frame and never calm.</param>
    /// <param name="isBootstrap">The level is calibrated on training footage that was left out.</param>
    /// <param name="remedy">The command that calibrates for this camera.</param>
    /// <param name="cause">What the picture looks like, where there is something to say.</param>
    /// <param name="along">Along what it is unusual, likewise.</param>
    public static string Of(OpenIncident incident, double seconds, bool isMisfit, bool isBootstrap, int undecodable, string remedy,
        Cause? cause = null, IReadOnlyList<UnusualDimension>? along = null) => LooksLike(incident, isMisfit, cause)
        + Sentence(incident, seconds, isMisfit, isBootstrap, undecodable, remedy) + (isMisfit ? "" : Along(along ?? []));

    private static string Sentence(OpenIncident incident, double seconds, bool isMisfit, bool isBootstrap, int undecodable,
        string remedy) => incident.Kind switch
        {
            AlertKind.Frozen => Say($"Picture frozen: unchanged for {seconds:0.0} s"),
            AlertKind.Silent => Say($"No frames for {seconds:0} s"),
            AlertKind.Undecodable => Say($"{undecodable} frames in a row cannot be decoded ({incident.FiredScore})"),
            _ when incident.IsSpot =>
                Say($"One place of the picture stays as it is while the rest moves, for {seconds:0.0} s: dirt, a drop or a crack?"),
            AlertKind.Scene or AlertKind.Obstruction when isMisfit =>
                $"Strange from the first frame on: the model may not fit this camera. Calibrate for it: {remedy}",
            AlertKind.Dark => Say($"Picture nearly black for {seconds:0.0} s ({ByTest(incident, isBootstrap)}{Certainty(incident)})"),
            AlertKind.Obstruction =>
                Say($"One place of the picture {Unlike(incident)} for {seconds:0.0} s, {Basis(incident, isBootstrap)}"),
            _ => Say($"Picture {Unlike(incident)} (whole frame) for {seconds:0.0} s, {Basis(incident, isBootstrap)}"),
        };

    public static string Calm(TimeSpan closeAfter) => Say($"Normal again for {closeAfter.TotalSeconds:0.#} s");

    /// <param name="remedy">The command that calibrates the model.</param>
    public static string FleetDrifts(string model, TimeSpan driftAfter, string remedy) =>
        $"Most cameras of {model} have had low p-values for {driftAfter}: the calibration is old. Calibrate again: {remedy}";

    private static string LooksLike(OpenIncident incident, bool isMisfit, Cause? cause) =>
        cause is { IsKnown: true } known && !isMisfit && incident.Kind is AlertKind.Scene or AlertKind.Obstruction
            ? Say($"Picture looks like {known.Name}, {known.Probability:0.0}. ") : "";

    private static string Along(IReadOnlyList<UnusualDimension> along) =>
        along.Count == 0 ? "" : $". Unusual along: {string.Join("; ", along)}";

    private static string Unlike(OpenIncident incident) =>
        incident.Test == AlertTest.Onset ? "unlike what the camera showed before" : "unlike normal footage";

    /// <summary>The test that opened it, and what that was calibrated on where it is not the cameras' own footage.</summary>
    private static string ByTest(OpenIncident incident, bool isBootstrap) => incident.Test switch
    {
        AlertTest.Onset => "by its onset, ",
        AlertTest.Level when isBootstrap => "by its level against training footage, ",
        AlertTest.Level => "by its level, ",
        _ => "",
    };

    private static string Basis(OpenIncident incident, bool isBootstrap) =>
        $"{ByTest(incident, isBootstrap)}most by its {incident.FiredScore} score ({Certainty(incident)})";

    private static string Certainty(OpenIncident incident) => Say($"certainty: odds 10^{incident.Strongest:0} against normal");

    private static string Say(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
