using System.Globalization;
using System.IO.Hashing;
using System.Text;
using OutlierPipeline.Alerts;

namespace OutlierPipeline.Detection;

/// <summary>What the detector finds in one frame that speaks for an incident.</summary>
/// <param name="Kind">Null where nothing does.</param>
/// <param name="Fired">The score that is strangest on its own, or why a frame cannot be decoded.</param>
/// <param name="From">Since when.</param>
/// <param name="Strangeness">How many times its normal spread that score lies above its normal median.</param>
/// <param name="Where">The strangest place.</param>
/// <param name="Test">Which test it is by; null where no score fired, or there is one alone.</param>
internal readonly record struct Finding(AlertKind? Kind, string? Fired, FrameRef? From, double? Strangeness = null,
    PictureRegion? Where = null, AlertTest? Test = null);

/// <summary>
/// An incident's life: it opens on evidence, escalates by the table of severities, and closes after calm or with the drive.
/// </summary>
/// <param name="remedy">The command that calibrates for this camera.</param>
internal sealed class IncidentTracker(string camera, DetectorState state, Evidence evidence, OnsetWatch? onset, ObstructionWatch? spots,
    StrangeFrames? strange, DetectionOptions options, string remedy)
{
    /// <summary>The camera was strange from its first frame and never calm; what has changed since was not.</summary>
    private bool IsMisfit(OpenIncident incident) => !incident.IsSpot && incident.Test != AlertTest.Onset && !state.WasCalm;

    /// <summary>Follows one frame; what happens is added to <paramref name="alerts"/>.</summary>
    /// <param name="isDrifting">Whether the whole fleet drifts: what the camera shows is then no news.</param>
    public void Follow(Finding finding, FrameRef frame, bool isDrifting, List<AlertStep> alerts)
    {
        if (state.Incident is not { } incident)
        {
            if (finding.Kind is { } kind) Open(kind, finding, frame, isDrifting, alerts);
            return;
        }
        if (incident.IsSpot && spots?.IsPresent != true)
        {
            Close(frame, CloseReason.Calm, AlertText.SpotIsGone, null, alerts);
            return;
        }
        if (incident.IsSpot && finding is { Kind: AlertKind.Scene or AlertKind.Obstruction or AlertKind.Dark, Fired: not null })
        {
            // Scores say more now than the place that stays. When they are calm, the place opens an incident of its own again.
            incident = incident with { FiredScore = finding.Fired, Test = finding.Test };
            if (finding.Test == AlertTest.Onset) onset?.Mark();
            evidence.DenyCalm();
            spots?.TellAgain(frame);
        }
        // Hysteresis: below the threshold is not yet calm.
        if (incident.IsSpot || !evidence.LeansToCalm(incident.Test))
        {
            incident = incident with { LastStrange = frame.Clock, Strongest = Math.Max(incident.Strongest, evidence.Log10) };
            var severity = SeverityOf(incident, frame.Since(incident.First), isDrifting);
            if (severity > incident.Severity)
            {
                incident = incident with { Severity = severity, Step = incident.Step + 1 };
                alerts.Add(Told(AlertType.Escalated, incident, frame, finding));
            }
            state.Incident = incident;
            return;
        }
        if (!evidence.IsCalm(incident.Test) || frame.Clock - incident.LastStrange < options.CloseAfter.TotalNanoseconds) return;
        bool stays = incident.Test == AlertTest.Onset && onset?.IsUnlikeBefore() == true;
        Close(frame, stays ? CloseReason.Absorbed : CloseReason.Calm, stays ? AlertText.Absorbed : AlertText.Calm(options.CloseAfter),
            finding.Where, alerts);
        evidence.Forget();
    }

    /// <summary>Closes the open incident, if there is one.</summary>
    public void Close(FrameRef frame, CloseReason reason, string text, PictureRegion? where, List<AlertStep> alerts)
    {
        if (state.Incident is not { } incident) return;
        alerts.Add(Step(AlertType.Closed, incident with { Step = incident.Step + 1 }, frame, text,
            new Finding(null, null, null, null, where)) with
        { Closed = reason });
        state.Incident = null;
    }

    private void Open(AlertKind kind, Finding finding, FrameRef frame, bool isDrifting, List<AlertStep> alerts)
    {
        var first = finding.From ?? frame;
        var incident = new OpenIncident(IdOf(first, kind), kind, Severity.Info, 1, first, finding.Fired, frame.Clock, evidence.Log10,
            finding.Test);
        incident = incident with { Severity = SeverityOf(incident, frame.Since(first), isDrifting) };
        if (finding.Test == AlertTest.Onset) onset?.Mark();
        alerts.Add(Told(AlertType.Opened, incident, frame, finding));
        state.Incident = incident;
        // Hours of calm before it say nothing of whether it is over.
        evidence.DenyCalm();
    }

    /// <summary>Where the model does not fit, the camera or the whole fleet needs a calibration, and nobody has to act now.</summary>
    private Severity SeverityOf(OpenIncident incident, TimeSpan duration, bool isDrifting) =>
        incident.Kind is AlertKind.Scene or AlertKind.Obstruction && (IsMisfit(incident) || isDrifting && !incident.IsSpot)
        ? Severity.Info
        : SeverityRule.Of(incident.Kind, incident.Strongest, duration);

    /// <summary>A step of an incident that is open, with what it is and what it looks like.</summary>
    private AlertStep Told(AlertType type, OpenIncident incident, FrameRef frame, Finding finding)
    {
        var (cause, along) = IsByScore(incident) && strange is not null ? (strange.Cause, strange.Along) : (null, []);
        string text = AlertText.Of(incident, frame.Since(incident.First).TotalSeconds, IsMisfit(incident), evidence.IsBootstrap,
            state.Undecodable, remedy, cause, along);
        return Step(type, incident, frame, text, finding) with { Cause = cause, Along = along };
    }

    private static bool IsByScore(OpenIncident incident) =>
        incident.Kind is AlertKind.Scene or AlertKind.Obstruction or AlertKind.Dark && !incident.IsSpot;

    private AlertStep Step(AlertType type, OpenIncident incident, FrameRef frame, string text, Finding finding)
    {
        bool isByScore = IsByScore(incident);
        return new AlertStep(type, incident.Id, incident.Step, camera, incident.Kind, incident.Severity, incident.First, frame, isByScore
            ? incident.FiredScore : null, text)
        {
            Test = incident.Test,
            Where = finding.Where,
            Strangeness = finding.Strangeness,
            Calibration = isByScore && type != AlertType.Closed ? evidence.OriginOf(incident.Test) : null,
            IsExtrapolated = isByScore && type != AlertType.Closed ? evidence.IsExtrapolated : null,
        };
    }

    /// <summary>Derived, so that what is done twice has the same; a silent camera's last frame may be another incident's first.</summary>
    private string IdOf(FrameRef first, AlertKind kind)
    {
        string text = kind == AlertKind.Silent ? "silent\n" : "";
        text += string.Create(CultureInfo.InvariantCulture,
            $"{camera}\n{first.Topic}\n{first.Partition}\n{first.Offset}\n{first.TimestampNanoseconds}");
        return Convert.ToHexStringLower(XxHash128.Hash(Encoding.UTF8.GetBytes(text)));
    }
}
