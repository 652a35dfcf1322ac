using OutlierPipeline.Alerts;
using OutlierPipeline.Batching;
using OutlierPipeline.Detection;
using OutlierPipeline.Frames;
using OutlierPipeline.Inference;
using OutlierPipeline.Models;

namespace OutlierPipeline.Pipeline;

/// <summary>What to do with frames that come faster than they can be scored.</summary>
public enum OverloadPolicy
{
    /// <summary>Score every frame, however late.</summary>
    Wait,

    /// <summary>
    /// Frames older than <see cref="OverloadOptions.MaxFrameAge"/> get a score record with <c>status: skipped</c> and no score.
    /// </summary>
    SkipStale,
}

/// <summary>Configuration section <c>Overload</c>.</summary>
public sealed record OverloadOptions
{
    /// <summary>
    /// <c>Wait</c> scores every frame, however late. <c>SkipStale</c> records frames that are too old as <c>skipped</c>, without a score.
    /// </summary>
    public OverloadPolicy Policy { get; init; } = OverloadPolicy.Wait;

    /// <summary>With <c>SkipStale</c>, the age beyond which a frame is skipped.</summary>
    public TimeSpan MaxFrameAge { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Messages for what is out of range.</summary>
    public IEnumerable<string> Validate()
    {
        if (!Enum.IsDefined(Policy)) yield return $"Overload:Policy is {Policy}; expected Wait or SkipStale";
        if (MaxFrameAge < TimeSpan.FromMilliseconds(10))
            yield return $"Overload:MaxFrameAge is {MaxFrameAge}; expected at least 00:00:00.010";
    }
}

/// <summary>The whole configuration of a pipeline: one section a property.</summary>
public sealed record PipelineOptions
{
    public KafkaOptions Kafka { get; init; } = new();

    public FramesOptions Frames { get; init; } = new();

    public ModelOptions Model { get; init; } = new();

    public InferenceOptions Inference { get; init; } = new();

    public BatchingOptions Batching { get; init; } = new();

    public DetectionOptions Detection { get; init; } = new();

    public OverloadOptions Overload { get; init; } = new();

    /// <summary>Configuration section <c>Alerts:Pictures</c>: patterns of cameras, and what is shown of their frames.</summary>
    public IReadOnlyDictionary<string, PictureRule> Pictures { get; init; } = new Dictionary<string, PictureRule>();

    /// <summary>A message for each value that is missing or out of range, naming the key, the value and what would be right.</summary>
    public IEnumerable<string> Validate() =>
        [.. Kafka.Validate(), .. Frames.Validate(), .. Model.Validate(), .. Inference.Validate(), .. Batching.Validate(),
        .. Detection.Validate(), .. Overload.Validate()];
}
