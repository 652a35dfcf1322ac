using OutlierPipeline.Frames;
using SkiaSharp;

namespace OutlierPipeline.Models;

/// <summary>The region of interest: which pixels of the model's picture count. The car's own bonnet and a burned-in clock do not.</summary>
public sealed class FrameMask
{
    /// <summary>Side of the patches that models see: one counts where all of its pixels do.</summary>
    internal const int CellSide = 8;

    private readonly byte[] _pixels;

    /// <param name="pixels"><c>[H, W]</c>, 1 where the pixel counts, else 0.</param>
    /// <exception cref="FootageException">Less than a tenth of the patches count.</exception>
    public FrameMask(FrameSize size, byte[] pixels, string name = "mask")
    {
        if (pixels.Length != size.Height * size.Width)
            throw new ArgumentException($"{pixels.Length} values cannot be a mask of {size}", nameof(pixels));
        Size = size;
        _pixels = pixels;
        double whole = WholeCellSidees();
        if (whole < 0.1) throw new FootageException($"{name}: only {100 * whole:0.#} % of the picture is left in whole patches of " +
            $"{CellSide}×{CellSide} pixels; white is what counts, black is left out");
    }

    public FrameSize Size { get; }

    /// <summary><c>[H, W]</c>, 1 where the pixel counts, else 0.</summary>
    public ReadOnlySpan<byte> Pixels => _pixels;

    /// <summary>Share of the picture that counts.</summary>
    public double Share => (double)_pixels.Count(value => value != 0) / _pixels.Length;

    /// <summary>Reads a picture that is white where pixels count, cropped and scaled as frames are.</summary>
    /// <exception cref="FootageException">The file is no picture, or leaves nothing.</exception>
    public static FrameMask Load(string file, FrameSize size) => Decode(Read(file), size, file);

    /// <inheritdoc cref="Load"/>
    public static FrameMask Decode(ReadOnlySpan<byte> encoded, FrameSize size, string name)
    {
        using var decoder = new FrameDecoder(size, FrameLimits.Footage);
        byte[] rgb = new byte[size.Bytes];
        var error = decoder.Decode(encoded, rgb);
        if (error != FrameError.None) throw new FootageException($"{name}: no mask: {FrameErrors.Describe(error)}");
        byte[] pixels = new byte[size.Height * size.Width];
        for (int i = 0; i < pixels.Length; i++) pixels[i] = (byte)(rgb[3 * i] >= 128 ? 1 : 0);
        return new FrameMask(size, pixels, name);
    }

    /// <summary>A PNG at the model's size, white where pixels count.</summary>
    public byte[] ToPng()
    {
        using var bitmap = new SKBitmap(Size.Width, Size.Height, SKColorType.Rgba8888, SKAlphaType.Opaque);
        for (int i = 0; i < _pixels.Length; i++)
            bitmap.SetPixel(i % Size.Width, i / Size.Width, _pixels[i] != 0 ? SKColors.White : SKColors.Black);
        using var png = bitmap.Encode(SKEncodedImageFormat.Png, 100);
        return png.ToArray();
    }

    /// <summary>Share of the patches of which every pixel counts.</summary>
    private double WholeCellSidees()
    {
        int columns = Math.Max(1, Size.Width / CellSide);
        int patches = Math.Max(1, Size.Height / CellSide) * columns;
        return (double)Enumerable.Range(0, patches).Count(patch =>
            IsWhole(patch / columns * CellSide, patch % columns * CellSide)) / patches;
    }

    private bool IsWhole(int top, int left)
    {
        for (int y = top; y < Math.Min(top + CellSide, Size.Height); y++)
        {
            if (_pixels.AsSpan(y * Size.Width + left, Math.Min(CellSide, Size.Width - left)).Contains((byte)0)) return false;
        }
        return true;
    }

    private static byte[] Read(string file)
    {
        try
        {
            return File.ReadAllBytes(file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new FootageException($"{file}: the mask cannot be read: {e.Message}", e);
        }
    }
}
