using Microsoft.ML.OnnxRuntime;
using OutlierPipeline.Frames;
using OutlierPipeline.Models;

namespace OutlierPipeline.Inference;

/// <summary>
/// One graph of a package that translates: pictures in and segmentation maps out, or maps in and pictures out. For tools; the service never
/// loads it. Not thread-safe.
/// </summary>
public sealed class Translator : IDisposable
{
    private readonly InferenceSession _session;
    private readonly RunOptions _run = new();

    /// <param name="path">Directory of the package.</param>
    /// <param name="graph"><see cref="TranslationCard.ToMap"/> or <see cref="TranslationCard.ToPicture"/>.</param>
    /// <exception cref="ModelPackageException">The package does not translate, or not in this direction, or is damaged.</exception>
    public Translator(string path, string graph)
    {
        (Card, byte[] bytes) = ModelPackage.ReadTranslator(path, graph);
        Size = graph == TranslationCard.ToMap ? Card.Network.Size : Card.Network.Translation!.PictureSize;
        try
        {
            using var options = new SessionOptions { LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR };
            // Threads that wait for work by spinning would take the cores from whoever decodes.
            options.AddSessionConfigEntry("session.intra_op.allow_spinning", "0");
            _session = new InferenceSession(bytes, options);
        }
        catch (OnnxRuntimeException e)
        {
            throw new ModelPackageException(Path.Combine(path, graph),
                $"ONNX Runtime cannot load it: {e.Message.ReplaceLineEndings(" ")}", e);
        }
    }

    public ModelCard Card { get; }

    /// <summary>Classes and colours of the maps.</summary>
    public TranslationCard Maps => Card.Network.Translation!;

    /// <summary>Of pictures and maps, both.</summary>
    public FrameSize Size { get; }

    /// <param name="pictures"><c>[n, H, W, 3]</c> uint8, RGB.</param>
    /// <returns>The class of each pixel, <c>[n, H, W]</c>, and its probability by the network.</returns>
    public (byte[] Map, float[] Probability) ToMap(byte[] pictures)
    {
        using var image = OrtValue.CreateTensorValueFromMemory(pictures,
            [pictures.Length / Size.Bytes, Size.Height, Size.Width, 3]);
        using var outputs = _session.Run(_run, ["image"], [image], ["map", "probability"]);
        return (outputs[0].GetTensorDataAsSpan<byte>().ToArray(), outputs[1].GetTensorDataAsSpan<float>().ToArray());
    }

    /// <param name="maps">Indices of classes, <c>[n, H, W]</c>.</param>
    /// <param name="noise">Standard normal, <c>[n, <see cref="TranslationCard.Noise"/>]</c>.</param>
    /// <returns><c>[n, H, W, 3]</c> uint8, RGB.</returns>
    public byte[] ToPicture(byte[] maps, float[] noise)
    {
        int count = maps.Length / (Size.Height * Size.Width);
        using var map = OrtValue.CreateTensorValueFromMemory(maps, [count, Size.Height, Size.Width]);
        using var draw = OrtValue.CreateTensorValueFromMemory(noise, [count, Maps.Noise]);
        using var outputs = _session.Run(_run, ["map", "noise"], [map, draw], ["image"]);
        return outputs[0].GetTensorDataAsSpan<byte>().ToArray();
    }

    public void Dispose()
    {
        _run.Dispose();
        _session.Dispose();
    }
}
