using System.Buffers;
using System.Text.Json;
using OutlierPipeline.Models;

namespace OutlierPipeline.Alerts;

/// <summary>Writes the records of <c>ood.scores</c>: one JSON object a frame (docs/schemas/score.json). One a thread.</summary>
public sealed class ScoreRecord : IDisposable
{
    private readonly ArrayBufferWriter<byte> _buffer = new(1024);
    private readonly Utf8JsonWriter _json;

    public ScoreRecord() => _json = new Utf8JsonWriter(_buffer);

    /// <summary>The record of a frame that was scored.</summary>
    /// <param name="scores">S scores, in the card's order.</param>
    /// <param name="second">The second graph's, where it was computed.</param>
    /// <param name="incident">The open incident's id, or null.</param>
    /// <param name="isShadow">Whether the camera is never alerted on.</param>
    public byte[] Scored(string camera, FrameRef frame, ModelPackage package, ReadOnlySpan<float> scores,
        SecondScores? second, in Verdict verdict, string? incident, bool isShadow)
    {
        var model = package.Card;
        Begin("scored", camera, frame, model);
        _json.WriteString("modelDigest"u8, package.Digest);
        _json.WriteStartObject("scores"u8);
        for (int k = 0; k < scores.Length; k++) _json.WriteNumber(model.Scores[k], JsonNumbers.Finite(scores[k]));
        if (second is { } more)
        {
            for (int k = 0; k < more.Scores.Length; k++) _json.WriteNumber(model.Second!.Scores[k], JsonNumbers.Finite(more.Scores[k]));
        }
        _json.WriteEndObject();
        if (second is { } chosen) _json.WriteString("second"u8, chosen.Above == 0 ? "every" : "above");
        if (!double.IsNaN(verdict.Score)) _json.WriteNumber("score"u8, JsonNumbers.Finite((float)verdict.Score));
        _json.WriteNumber("pValue"u8, verdict.PValue);
        if (verdict.Onset is { } onset && verdict.OnsetPValue is { } onsetP)
        {
            _json.WriteNumber("onset"u8, JsonNumbers.Finite((float)onset));
            _json.WriteNumber("onsetPValue"u8, onsetP);
        }
        if (verdict.TailPValue is { } tail)
        {
            _json.WriteBoolean("extrapolated"u8, true);
            _json.WriteNumber("tailPValue"u8, tail);
        }
        _json.WriteNumber("martingale"u8, verdict.Martingale);
        _json.WriteBoolean("isOutlier"u8, verdict.IsOutlier);
        if (incident is not null) _json.WriteString("incident"u8, incident);
        if (isShadow) _json.WriteBoolean("shadow"u8, true);
        return End();
    }

    /// <summary>The record of a frame that was too old to be scored.</summary>
    public byte[] Skipped(string camera, FrameRef frame, ModelCard model)
    {
        Begin("skipped", camera, frame, model);
        return End();
    }

    public void Dispose() => _json.Dispose();

    private void Begin(string status, string camera, FrameRef frame, ModelCard model)
    {
        _buffer.ResetWrittenCount();
        _json.Reset();
        _json.WriteStartObject();
        _json.WriteNumber("schema"u8, 1);
        _json.WriteString("status"u8, status);
        _json.WriteString("camera"u8, camera);
        JsonNumbers.WriteTime(_json, "timestamp"u8, frame.TimestampNanoseconds);
        _json.WriteNumber("partition"u8, frame.Partition);
        _json.WriteNumber("offset"u8, frame.Offset);
        _json.WriteString("model"u8, model.Name);
        _json.WriteString("modelVersion"u8, model.Version);
    }

    private byte[] End()
    {
        _json.WriteEndObject();
        _json.Flush();
        return _buffer.WrittenSpan.ToArray();
    }
}
