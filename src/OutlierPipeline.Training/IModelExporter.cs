using OutlierPipeline.Frames;
using OutlierPipeline.Models;

namespace OutlierPipeline.Training;

/// <summary>One score of a package.</summary>
/// <param name="IsCombined">Whether it has a part in the combined score.</param>
/// <param name="IsWatched">Whether the onset test watches it.</param>
/// <param name="IsLocal">Whether it says something of one place of the picture.</param>
public sealed record ScoreEntry(string Name, bool IsCombined, bool IsWatched, bool IsLocal);

/// <summary>What a package is made of, whichever network was trained.</summary>
public interface IModelExporter
{
    FrameSize Size { get; }

    /// <summary>In the order of the graph's output.</summary>
    IReadOnlyList<ScoreEntry> Scores { get; }

    /// <summary>What names the causes of strange frames; null where none were learned. With it, the graph has an output
    /// <c>profile</c>.</summary>
    CauseModel? Causes { get; }

    /// <summary>The network's part of the model card.</summary>
    NetworkCard Describe(TrainingSettings settings);

    /// <summary>The bytes of <c>model.onnx</c>.</summary>
    byte[] WriteModel(string name, string version, string source);

    /// <summary>A graph of the network alone, without scores: what scoring is compared with.</summary>
    byte[] WriteNetwork();

    /// <summary>The bytes of <c>decoder.onnx</c>: <c>latent</c> <c>[N, Z]</c> to <c>image</c> uint8 <c>[N, H, W, 3]</c>.</summary>
    byte[] WriteDecoder();
}
