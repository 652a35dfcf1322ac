using Microsoft.ML.OnnxRuntime;
using OutlierPipeline.Frames;
using OutlierPipeline.Models;

namespace OutlierPipeline.Inference;

/// <summary>A package's <c>decoder.onnx</c>: codes in, pictures out. For tools; the service never loads it.</summary>
public sealed class LatentDecoder : IDisposable
{
    private readonly InferenceSession _session;
    private readonly RunOptions _run = new();
    private readonly NetworkCard _network;

    /// <exception cref="ModelPackageException">The package has no decoder, or ONNX Runtime cannot load it.</exception>
    public LatentDecoder(ModelPackage package)
        : this(package.Card.Network, package.ReadFile("decoder.onnx"))
    {
    }

    internal LatentDecoder(NetworkCard network, byte[] graph)
    {
        _network = network;
        try
        {
            _session = new InferenceSession(graph);
        }
        catch (OnnxRuntimeException e)
        {
            throw new ModelPackageException("decoder.onnx", $"ONNX Runtime cannot load it: {e.Message.ReplaceLineEndings(" ")}", e);
        }
    }

    public FrameSize Size => _network.Size;

    /// <summary>Dimensions of a code, Z.</summary>
    public int Latent => _network.Latent;

    /// <param name="codes"><c>[n, Z]</c>.</param>
    /// <returns><c>[n, H, W, 3]</c> uint8, RGB.</returns>
    public byte[] Draw(float[] codes)
    {
        using var input = OrtValue.CreateTensorValueFromMemory(codes, [codes.Length / _network.Latent, _network.Latent]);
        using var outputs = _session.Run(_run, ["latent"], [input], ["image"]);
        return outputs[0].GetTensorDataAsSpan<byte>().ToArray();
    }

    public void Dispose()
    {
        _run.Dispose();
        _session.Dispose();
    }
}
