using System.Text.Json;
using System.Text.Json.Serialization;
using OutlierPipeline.Evaluation;

namespace OutlierPipeline.Cli.Evaluation;

/// <summary><c>report.json</c>. Rates and areas are shares of 1; what could not be measured is null.</summary>
internal sealed record EvaluationReport
{
    public static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    public int Schema { get; init; } = 1;

    public required string Model { get; init; }

    public required string ModelVersion { get; init; }

    public required string ModelDigest { get; init; }

    public required string Command { get; init; }

    public required NormalFigures Normal { get; init; }

    public required SortedDictionary<string, OutlierFigures> Outliers { get; init; }

    /// <summary>What each drive has to do with the model: figures of drives that trained or calibrated flatter it.</summary>
    public required IReadOnlyList<JudgedDrive> Drives { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public CorruptionFigures? Corruptions { get; init; }

    /// <summary>Parts of the normal frames, if they were asked for.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<SliceFigures>? Slices { get; init; }

    /// <summary>What the second graph adds; missing in packages of one graph.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public SecondFigures? Second { get; init; }

    public required IReadOnlyList<LatentDiagnostic> Latent { get; init; }

    /// <summary>KL divergence of each unit of the code, in nats.</summary>
    public required double[] KlPerUnit { get; init; }

    /// <summary>Where the KL divergence goes, in nats a frame; missing where the code is a point.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public LatentInformation? Information { get; init; }
}

/// <summary>A drive that figures were measured on.</summary>
/// <param name="Set"><c>normal</c>, or a set of outliers.</param>
/// <param name="Acquaintance">In lower case, such as <c>unseen</c> or <c>drive-trained</c>.</param>
/// <param name="StrangeRate">Share of its frames with a p-value of at most the level.</param>
internal sealed record JudgedDrive(string Set, string Drive, int Frames, string Acquaintance, double StrangeRate);

/// <summary>Normal footage that neither trained nor calibrated.</summary>
/// <param name="FalseAlarmRate">Share of frames with a p-value of at most <paramref name="Level"/>.</param>
/// <param name="FalseAlarmRates">The same at other levels.</param>
/// <param name="FalseAlarmRateCi">95 % block bootstrap interval of <paramref name="FalseAlarmRate"/>.</param>
/// <param name="Incidents">False incidents that the detector opened.</param>
/// <param name="IncidentsByTest">The same by the test that opened them; without those of frozen and dark pictures and packages of one test.
/// </param>
/// <param name="OnsetRates">Share of the frames that the onset test judged with a p-value of it at most as high as each level; null without
/// such frames.</param>
/// <param name="SupportedRate">The smallest false-alarm rate of a frame that the calibration's footage can support: 1 / (1 + its frames as
/// independent ones).</param>
/// <param name="BoundPerCameraDay">False incidents a camera-day, at most, that guaranteed evidence opens on average with the default
/// probability.</param>
/// <param name="ShortestDelaySeconds">Until guaranteed evidence can open an incident; null where it never can.</param>
internal sealed record NormalFigures(int Frames, double FalseAlarmRate, double[] FalseAlarmRateCi, double Level,
    SortedDictionary<string, double> FalseAlarmRates, int Incidents, double SupportedRate, double BoundPerCameraDay,
    double? ShortestDelaySeconds, SortedDictionary<string, int> IncidentsByTest,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] SortedDictionary<string, double>? OnsetRates);

/// <summary>One set of outliers against the normal frames.</summary>
/// <param name="AurocCi">95 % block bootstrap interval.</param>
/// <param name="DetectionDelayFrames">Median over drives of the frames before the incident is open; null where most drives end without
/// one.</param>
/// <param name="DetectedDrives">Drives with an incident, of <paramref name="Drives"/>.</param>
/// <param name="Scores">The same figures of each score on its own.</param>
/// <param name="Causes">How the frames' causes were named, against the normal footage; null where the package has no causes.</param>
/// <param name="IncidentCauses">The same of incidents that opened; null where none did, or none with a cause.</param>
internal sealed record OutlierFigures(int Frames, double Auroc, double[] AurocCi, double Aupr, double Fpr95, double? DetectionDelayFrames,
    int DetectedDrives, int Drives, SortedDictionary<string, ScoreFigures> Scores,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] CauseFigures? Causes,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] CauseFigures? IncidentCauses);

internal sealed record ScoreFigures(double Auroc, double Aupr, double Fpr95);

/// <summary>The corruption suite on a part of the normal frames.</summary>
/// <param name="MeanAuroc">By severity, over the kinds that single frames show.</param>
internal sealed record CorruptionFigures(int Frames, int Seed, SortedDictionary<string, double> MeanAuroc,
    SortedDictionary<string, CorruptionKind> Kinds);

/// <summary>One kind of corruption.</summary>
/// <param name="Auroc">By severity; empty for what single frames cannot show.</param>
/// <param name="ScoreAuroc">Of each score on its own, by severity.</param>
/// <param name="DetectionDelayFrames">Of streams that begin normally, at severity 3: the median of the frames before an incident is open;
/// null where most end without one.</param>
/// <param name="DetectedSequences">Streams with an incident, of <paramref name="Sequences"/>.</param>
/// <param name="FoundWithin15">Streams with an incident in the first 15 frames of the kind.</param>
/// <param name="FoundByOnset">Detected streams whose incident the onset test opened.</param>
/// <param name="PixelAuroc">How well the error map says where, by severity; for obstacles.</param>
/// <param name="PixelAveragePrecision">The same, average precision.</param>
/// <param name="Causes">How the frames' causes were named, by severity; null where the package has no causes.</param>
/// <param name="StreamCauses">How the incidents of the streams were named; null where none was.</param>
internal sealed record CorruptionKind(
    string Group,
    SortedDictionary<string, double> Auroc,
    SortedDictionary<string, SortedDictionary<string, double>> ScoreAuroc,
    double? DetectionDelayFrames,
    int DetectedSequences,
    int Sequences,
    int FoundWithin15,
    int FoundByOnset,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] SortedDictionary<string, double>? PixelAuroc,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] SortedDictionary<string, double>? PixelAveragePrecision,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] SortedDictionary<string, CauseFigures>? Causes,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] CauseFigures? StreamCauses);
