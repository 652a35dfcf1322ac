using OutlierPipeline.Frames;
using SkiaSharp;

namespace OutlierPipeline.Footage.Simulation;

/// <summary>
/// A camera that plays footage, forwards and then backwards so that nothing jumps, and draws troubles over it. Not thread-safe.
/// </summary>
public sealed class FootageCamera : ISimulatedCamera
{
    /// <summary>Pictures beyond this are sent as smaller JPEGs: the broker of a demo keeps few megabytes.</summary>
    private const int MaxBytes = 128 * 1024;

    private readonly IReadOnlyList<ReadOnlyMemory<byte>> _frames;
    private readonly double _framesPerSecond;
    private readonly int _start;
    private readonly int _seed;
    private WeatherAndFaults? _troubles;
    private byte[]? _frozen;

    /// <param name="frames">Encoded pictures in time order.</param>
    /// <param name="start">The frame to begin with.</param>
    /// <param name="seed">Where dirt and obstacles lie.</param>
    public FootageCamera(IReadOnlyList<ReadOnlyMemory<byte>> frames, double framesPerSecond, int start, int seed)
    {
        _frames = frames;
        _framesPerSecond = framesPerSecond;
        _start = start;
        _seed = seed;
    }

    public byte[] Render(double seconds, Trouble trouble, double strength)
    {
        if (trouble == Trouble.Frozen && _frozen is not null) return _frozen;
        byte[] encoded = Draw(_frames[Position(seconds)], trouble, strength);
        // The sensor goes on, but what leaves the camera is what it last saw.
        _frozen = trouble == Trouble.Frozen ? encoded : null;
        return encoded;
    }

    public void Dispose() => _troubles?.Dispose();

    private int Position(double seconds)
    {
        int there = (int)(seconds * _framesPerSecond) + _start;
        int round = Math.Max(1, 2 * (_frames.Count - 1));
        int at = there % round;
        return at < _frames.Count ? at : round - at;
    }

    private byte[] Draw(ReadOnlyMemory<byte> frame, Trouble trouble, double strength)
    {
        bool isDrawn = trouble is not (Trouble.None or Trouble.Frozen);
        if (!isDrawn && frame.Length <= MaxBytes) return frame.ToArray();
        using var picture = Decode(frame.Span);
        using var canvas = new SKCanvas(picture);
        if (isDrawn)
        {
            _troubles ??= new WeatherAndFaults(_seed, picture.Width, picture.Height);
            _troubles.Draw(canvas, picture, trouble, strength);
            if (trouble == Trouble.Obstacle) DrawBox(canvas, picture, (float)strength);
            if (trouble == Trouble.DeadRows) _troubles.ClearDeadRows(picture);
        }
        for (int quality = 92; ; quality -= 15)
        {
            using var jpeg = picture.Encode(SKEncodedImageFormat.Jpeg, quality);
            if (jpeg.Size <= MaxBytes || quality < 40) return jpeg.ToArray();
        }
    }

    /// <summary>Decodes a frame in its own size as training and service do, upright.</summary>
    private static SKBitmap Decode(ReadOnlySpan<byte> frame)
    {
        var error = ImageHeader.Read(frame, FrameLimits.Footage, out var header);
        var size = new FrameSize(header.Height, header.Width);
        byte[] rgb = [];
        if (error == FrameError.None)
        {
            rgb = new byte[size.Bytes];
            using var decoder = new FrameDecoder(size, FrameLimits.Footage);
            error = decoder.Decode(frame, rgb);
        }
        return error == FrameError.None
            ? RgbBitmap.Of(rgb, size)
            : throw new FootageException($"a frame of the footage cannot be decoded: {FrameErrors.Describe(error)}");
    }

    /// <summary>A striped box on the road ahead.</summary>
    private void DrawBox(SKCanvas canvas, SKBitmap picture, float strength)
    {
        var random = new Random(_seed);
        float side = picture.Height * 0.2f * strength;
        float x = picture.Width * (0.35f + 0.2f * random.NextSingle());
        float y = picture.Height * 0.85f - side;
        using var paint = new SKPaint { Color = new SKColor(214, 120, 34) };
        canvas.DrawRect(x, y, side, side, paint);
        paint.Color = new SKColor(245, 245, 240);
        for (int stripe = 0; stripe < 2; stripe++) canvas.DrawRect(x, y + side * (0.2f + 0.4f * stripe), side, side * 0.15f, paint);
    }
}
