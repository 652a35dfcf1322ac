using Microsoft.ML.OnnxRuntime;
using OutlierPipeline.Frames;
using OutlierPipeline.Models;

namespace OutlierPipeline.Inference;

/// <summary>
/// The <c>discriminator.onnx</c> of a package that only draws: what it learned to tell from frames. For tools; the service never loads it.
/// </summary>
public sealed class Discriminator : IDisposable
{
    /// <summary>Within the package.</summary>
    public const string FileName = "discriminator.onnx";

    private readonly InferenceSession _session;
    private readonly RunOptions _run = new();

    /// <exception cref="ModelPackageException">The package has none, or ONNX Runtime cannot load it.</exception>
    public Discriminator(string path)
    {
        Card = ModelPackage.ReadCard(path);
        byte[] graph = Card.Files.ContainsKey(FileName) ? ModelPackage.ReadFile(path, FileName)
            : throw new ModelPackageException(path, $"has no {FileName}: train it again");
        try
        {
            _session = new InferenceSession(graph);
        }
        catch (OnnxRuntimeException e)
        {
            throw new ModelPackageException(Path.Combine(path, FileName),
                $"ONNX Runtime cannot load it: {e.Message.ReplaceLineEndings(" ")}", e);
        }
    }

    public ModelCard Card { get; }

    public FrameSize Size => Card.Network.Size;

    /// <summary>A score of each frame: higher for what looks drawn.</summary>
    /// <param name="frames"><c>[n, H, W, 3]</c> uint8, RGB.</param>
    public float[] Score(byte[] frames)
    {
        using var image = OrtValue.CreateTensorValueFromMemory(frames, [frames.Length / Size.Bytes, Size.Height, Size.Width, 3]);
        using var outputs = _session.Run(_run, ["image"], [image], ["scores"]);
        return outputs[0].GetTensorDataAsSpan<float>().ToArray();
    }

    public void Dispose()
    {
        _run.Dispose();
        _session.Dispose();
    }
}
