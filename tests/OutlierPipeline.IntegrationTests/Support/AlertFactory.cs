using OutlierPipeline.Alerts;
using OutlierPipeline.Models;

namespace OutlierPipeline.IntegrationTests.Support;

/// <summary>Records of <c>ood.alerts</c> as the pipeline writes them, without the pipeline.</summary>
internal static class AlertFactory
{
    private static readonly ModelPackage Package = ModelPackage.Load(Repository.StreetDemo);

    /// <summary>A step of an incident.</summary>
    /// <param name="second">Of the incident's first frame, from a fixed day on.</param>
    public static byte[] Record(string incident, int step, AlertType type, string camera = "car-1/front",
        Severity severity = Severity.Warning, AlertKind kind = AlertKind.Scene, long second = 0, byte[]? picture = null)
    {
        var first = new FrameRef(TestCluster.Frames, 0, 100 + second, (1_790_000_000 + second) * 1_000_000_000L + 123_456_789);
        var last = first with { Offset = first.Offset + step, TimestampNanoseconds = first.TimestampNanoseconds + step * 1_000_000_000L };
        var alert = new AlertStep(type, incident, step, camera, kind, severity, first, last, "bands",
            "the picture is strange for 0.4 s, most by its bands score (odds 10^7)")
        {
            Closed = type == AlertType.Closed ? CloseReason.Calm : null,
            Strangeness = 7.5,
            Cause = type == AlertType.Closed ? null : new Cause("fog", 0.9),
            Along = type == AlertType.Closed ? [] : [new UnusualDimension("sun height", -6.25)],
            IsExtrapolated = type == AlertType.Closed ? null : true,
            Where = new PictureRegion(0.5, 0.25, 0.05, 0.1),
        };
        return AlertEvent.Write(alert, Package, new float[Package.Card.Scores.Count],
            new Verdict(0.001, 1e-7, 7, type != AlertType.Closed, false), picture ?? []);
    }
}
