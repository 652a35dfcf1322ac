using OutlierPipeline.Frames;

namespace OutlierPipeline.Models;

/// <summary>
/// The second graph of a package, which is computed for some frames alone: what should have been there. It takes pictures of any size,
/// <c>image</c> uint8 <c>[N, H, W, 3]</c>, and gives <c>scores</c> float32 <c>[N, S]</c>, <c>error_map</c> and <c>class_map</c> float32
/// <c>[N, h, w]</c>, <c>map</c> uint8 <c>[N, h', w']</c> and, where pictures are drawn again, <c>picture</c> uint8 <c>[N, H', W', 3]</c>.
/// </summary>
public static class SecondGraph
{
    public const string FileName = "second.onnx";

    /// <summary>The score of the difference between the frame and what was drawn again of its map.</summary>
    public const string Resynthesis = "resynthesis";

    /// <summary>The score of cells that are unlike others of their class.</summary>
    public const string Classes = "classes";

    /// <summary>No graph has more scores.</summary>
    public const int MaxScores = 7;

    /// <summary>The score of how unlike itself a class is, all of its cells together.</summary>
    public static string Unlike(string name) => "unlike_" + name.Replace(' ', '_');
}

/// <summary>What the second graph says of a frame.</summary>
/// <param name="Scores">S scores, higher is stranger.</param>
/// <param name="Above">The first p-value at which frames are chosen; 0 for a frame that was chosen by its place.</param>
public readonly record struct SecondScores(float[] Scores, double Above);

/// <summary>What the second graph makes of a frame, for people to look at. What it does not make is empty.</summary>
/// <param name="Map"><c>[H', W']</c>, indices of classes.</param>
/// <param name="Drawn">What was drawn again of the map, <c>[H'', W'', 3]</c> uint8, RGB.</param>
/// <param name="Differences">How far the frame and what was drawn again are apart, <c>[h, w]</c>, in deviations of normal frames.</param>
/// <param name="Unlike">How unlike others of its class each cell is, the same.</param>
public sealed record SecondView(byte[] Map, FrameSize MapSize, byte[] Drawn, FrameSize DrawnSize, float[] Differences,
    FrameSize DifferencesSize, float[] Unlike, FrameSize UnlikeSize);
