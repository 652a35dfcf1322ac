using OutlierPipeline.Alerts;
using OutlierPipeline.Detection;
using OutlierPipeline.Frames;

namespace OutlierPipeline.Service.Live;

/// <summary>A watched camera's frame: copied from the pipeline, and each of its pictures made once, when somebody first asks.</summary>
internal sealed class LivePicture
{
    private readonly Lazy<byte[]> _frame;
    private readonly Lazy<byte[]> _heatMap;
    private readonly Lazy<byte[]> _reconstruction;
    private readonly Lazy<SecondPictures> _second;

    /// <param name="isBlurred">Whether all of its pictures are, the received one too, which is then drawn as the model sees it.</param>
    public LivePicture(in FrameObservation frame, CameraDetector detector, long sequence, Reconstructor reconstructor, bool isBlurred)
    {
        Sequence = sequence;
        At = frame.Frame;
        byte[] pixels = frame.Pixels.ToArray();
        float[] errorMap = frame.ErrorMap.ToArray();
        var package = detector.Package;
        string camera = detector.Camera;
        var network = package.Card.Network;
        byte[] encoded = isBlurred && package.Second is null ? [] : frame.Encoded.ToArray();
        if (isBlurred)
        {
            ContentType = "image/jpeg";
            _frame = new Lazy<byte[]>(() => AlertPicture.EncodeFrame(pixels, network.Size, isBlurred));
        }
        else
        {
            ContentType = ImageHeader.Read(encoded, reconstructor.Limits, out var header) != FrameError.None
                ? "application/octet-stream"
                : $"image/{header.Format.ToString().ToLowerInvariant()}";
            _frame = new Lazy<byte[]>(encoded);
        }
        _heatMap = new Lazy<byte[]>(() =>
            AlertPicture.EncodeHeatMap(pixels, network.Size, errorMap, network.ErrorMapHeight, network.ErrorMapWidth, isBlurred));
        _reconstruction = new Lazy<byte[]>(() =>
            AlertPicture.EncodeFrame(reconstructor.Draw(package, camera, pixels), network.Size, isBlurred));
        _second = new Lazy<SecondPictures>(() => reconstructor.Look(package, pixels, encoded, isBlurred));
    }

    public long Sequence { get; }

    public FrameRef At { get; }

    /// <summary>Of <see cref="Frame"/>.</summary>
    public string ContentType { get; }

    /// <summary>As it was received, without being encoded again, unless it is blurred.</summary>
    public byte[] Frame => _frame.Value;

    /// <summary>A JPEG of the frame as the model sees it, under its heat map.</summary>
    public byte[] HeatMap => _heatMap.Value;

    /// <summary>A JPEG of what the decoder drew of it.</summary>
    public byte[] Reconstruction => _reconstruction.Value;

    /// <summary>A JPEG of the frame under its segmentation map; null where the package has no second graph.</summary>
    public byte[]? Map => _second.Value.Map;

    /// <summary>A JPEG of what was drawn again of the map; null where the package draws nothing so.</summary>
    public byte[]? Resynthesis => _second.Value.Drawn;

    /// <summary>A JPEG of the frame under the heat map of where it is not what was drawn again; null where nothing is.</summary>
    public byte[]? Differences => _second.Value.Differences;

    /// <summary>A JPEG of the frame under the heat map of what is unlike others of its class; null where the package has none.</summary>
    public byte[]? Unlike => _second.Value.Unlike;
}
