using System.Text;
using Confluent.Kafka;
using Microsoft.Extensions.Logging;
using OutlierPipeline.Alerts;
using OutlierPipeline.Batching;
using OutlierPipeline.Models;
using OutlierPipeline.Telemetry;

namespace OutlierPipeline.Pipeline;

/// <summary>Publishes the steps of incidents, with the picture where one opens; counts, logs and tells them.</summary>
internal sealed partial class AlertPublisher(ResultPublisher publisher, PipelineOptions options, ILogger log)
{
    private static readonly byte[] ContentType = Encoding.ASCII.GetBytes(AlertEvent.ContentType);

    /// <summary>An alert was produced; for whoever shows it in the same process.</summary>
    public Action<AlertStep> Alerted { get; set; } = _ => { };

    /// <summary>Publishes the steps that a frame gave, which is done only when they are.</summary>
    public void Publish(ConsumedFrame frame, IReadOnlyList<AlertStep> steps, FrameBatch batch, int slot, ReadOnlySpan<float> scores,
        in Verdict verdict)
    {
        foreach (var step in steps)
        {
            var rule = options.Pictures.For(step.Camera);
            var network = batch.Package.Card.Network;
            byte[] picture = step.Type == AlertType.Opened && !scores.IsEmpty
                ? AlertPicture.Encode(batch.Memory.Pixels(slot), network.Size, batch.Memory.ErrorMap(slot), network.ErrorMapHeight,
                    network.ErrorMapWidth, rule)
                : [];
            byte[] record = AlertEvent.Write(step, batch.Package, scores, verdict, picture, rule == PictureRule.Blurred);
            publisher.Publish(frame, options.Kafka.AlertsTopic, record, Headers());
            Tell(step);
        }
    }

    /// <summary>Publishes a step that no frame gave.</summary>
    /// <param name="key">The camera, or what stands for the fleet.</param>
    public void PublishAlone(PartitionAssignment assignment, string key, AlertStep step, ModelPackage package)
    {
        var verdict = new Verdict(double.NaN, null, 0, step.Type != AlertType.Closed, false);
        publisher.PublishAlone(assignment, options.Kafka.AlertsTopic, Encoding.UTF8.GetBytes(key),
            AlertEvent.Write(step, package, [], verdict, []), Headers());
        Tell(step);
    }

    private static Headers Headers() => new() { { "content-type", ContentType } };

    private void Tell(AlertStep step)
    {
        PipelineTelemetry.CountAlert(step.Type.ToString().ToLowerInvariant(), step.Kind.ToString().ToLowerInvariant(),
            step.Severity.ToString().ToLowerInvariant());
        Log.Alert(log, step.Type, step.Camera, step.Kind, step.Severity, step.Reason, step.Incident);
        Alerted(step);
    }

    private static partial class Log
    {
        [LoggerMessage(300, LogLevel.Information, "Alert {Type}: {Camera} {Kind} {Severity}: {Reason} (incident {Incident})")]
        public static partial void Alert(ILogger log, AlertType type, string camera, AlertKind kind, Severity severity, string reason,
            string incident);
    }
}
