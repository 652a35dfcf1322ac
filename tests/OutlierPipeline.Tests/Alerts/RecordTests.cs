using System.Text.Json;
using OutlierPipeline.Alerts;
using OutlierPipeline.Models;
using OutlierPipeline.Tests.Support;

namespace OutlierPipeline.Tests.Alerts;

/// <summary>The records and the schemas in docs/schemas say the same.</summary>
public sealed class RecordTests
{
    private static readonly ModelPackage Package = ModelPackage.Load(Repository.StreetDemo);
    private static readonly FrameRef Frame = new("camera.frames", 3, 42, 1_700_000_000_123_456_789);

    [Fact]
    public void A_score_record_is_what_its_schema_says()
    {
        using var records = new ScoreRecord();
        float[] scores = [.. Package.Card.Scores.Select((_, i) => i == 0 ? float.NaN : i)];
        var second = new SecondCard { Scores = [SecondGraph.Resynthesis], Classes = [new ClassCard("road", "#808080")], Source = "a test" };
        var package = ModelPackage.Uncalibrated(Package.Card with { Second = second }, Package.Graph.ToArray(), null);
        var scored = Parse(records.Scored("car-1/front", Frame, package, scores, new SecondScores([1.5f], 0.1),
            new Verdict(0.5, 1e-9, 1.25, true, false)
            {
                Score = 2,
                Onset = 3,
                OnsetPValue = 0.01
            }, "abc",
            isShadow: true));
        AssertFits(scored, Schema("score.json"), all: true);
        Assert.Equal("2023-11-14T22:13:20.123456789Z", scored.GetProperty("timestamp").GetString());
        Assert.Equal(float.MaxValue, scored.GetProperty("scores").GetProperty("reconstruction").GetSingle());
        Assert.Equal("above", scored.GetProperty("second").GetString());
        Assert.Equal(1.5f, scored.GetProperty("scores").GetProperty(SecondGraph.Resynthesis).GetSingle());
        AssertFits(Parse(records.Skipped("car-1/front", Frame, Package.Card)), Schema("score.json"), all: false);
    }

    [Fact]
    public void An_alert_is_what_its_schema_says()
    {
        float[] scores = new float[Package.Card.Scores.Count];
        foreach (var kind in Enum.GetValues<AlertKind>())
        {
            var step = new AlertStep(AlertType.Opened, "abc", 1, "car \"1\"/<front>", kind, Severity.Critical, Frame, Frame, "local",
                "because")
            {
                Closed = CloseReason.Absorbed,
                Test = AlertTest.Onset,
                Calibration = new CalibrationOrigin("deployment", 40),
                Where = new PictureRegion(0.1, 0.2, 0.05, 0.1),
                Strangeness = 7,
                Cause = new Cause("fog", 0.91234),
                Along = [new UnusualDimension("sun height", -6.123)],
                IsExtrapolated = true
            };
            var alert = Parse(AlertEvent.Write(step, Package, scores, new Verdict(0.001, null, 9, true, false)
            {
                OnsetPValue = 0.01
            }, [0xFF, 0xD8]));
            AssertFits(alert, Schema("alert.json"), all: true);
            Assert.Equal(0.912, alert.GetProperty("data").GetProperty("cause").GetProperty("probability").GetDouble());
            Assert.Equal(-6.12, alert.GetProperty("data").GetProperty("along")[0].GetProperty("sigma").GetDouble());
            Assert.Equal(40, alert.GetProperty("data").GetProperty("calibration").GetProperty("drives").GetInt32());
            Assert.Equal("abc-1", alert.GetProperty("id").GetString());
            Assert.Equal("car \"1\"/<front>", alert.GetProperty("data").GetProperty("camera").GetString());
        }
    }

    [Fact]
    public void Times_of_any_year_are_written()
    {
        using var records = new ScoreRecord();
        foreach (long nanoseconds in new[] { 0, -1, long.MaxValue, long.MinValue })
            Assert.True(Parse(records.Skipped("c", Frame with { TimestampNanoseconds = nanoseconds }, Package.Card))
                .GetProperty("timestamp").GetString()!.EndsWith('Z'));
    }

    /// <summary>Names, required ones and closed lists; not a whole validator, but enough that schema and record cannot part.</summary>
    private static void AssertFits(JsonElement record, JsonElement schema, bool all)
    {
        var properties = schema.GetProperty("properties");
        foreach (var field in record.EnumerateObject())
            Assert.True(properties.TryGetProperty(field.Name, out _), $"{field.Name} is not in the schema");
        foreach (var required in schema.GetProperty("required").EnumerateArray())
            Assert.True(record.TryGetProperty(required.GetString()!, out _), $"{required} is missing");
        foreach (var property in properties.EnumerateObject())
        {
            bool there = record.TryGetProperty(property.Name, out var value);
            Assert.True(there || !all, $"{property.Name} is in the schema and never written");
            if (!there) continue;
            if (property.Value.TryGetProperty("enum", out var allowed))
                Assert.Contains(value.GetString(), allowed.EnumerateArray().Select(item => item.GetString()));
            if (property.Value.TryGetProperty("const", out var constant)) Assert.Equal(constant.ToString(), value.ToString());
            if (property.Value.TryGetProperty("type", out var type) && type.GetString() == "object"
                && property.Value.TryGetProperty("properties", out _)) AssertFits(value, property.Value, all);
        }
    }

    private static JsonElement Schema(string name) => Parse(File.ReadAllBytes(Path.Combine(Repository.Root, "docs", "schemas", name)));

    private static JsonElement Parse(byte[] json) => JsonDocument.Parse(json).RootElement;
}
