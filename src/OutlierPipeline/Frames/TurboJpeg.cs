using System.Runtime.InteropServices;

namespace OutlierPipeline.Frames;

/// <summary>
/// libjpeg-turbo by its TurboJPEG 2 interface, where the library is on the machine. One a worker; not thread-safe; allocates nothing a
/// frame.
/// </summary>
internal sealed unsafe class TurboJpeg : IDisposable
{
    private const int PixelFormatRgb = 0;
    private const int PixelFormatCmyk = 11;

    /// <summary>The first warning ends the decoding: what comes after one is made up.</summary>
    private const int StopOnWarning = 8192;

    private static readonly nint Library = NativeLibraries.Load("libturbojpeg.so.0", "libturbojpeg.so", "libturbojpeg.0.dylib",
        "libturbojpeg.dylib", "turbojpeg.dll");
    private static readonly delegate* unmanaged<nint> Init = (delegate* unmanaged<nint>)Export("tjInitDecompress");
    private static readonly delegate* unmanaged<nint, int> Destroy = (delegate* unmanaged<nint, int>)Export("tjDestroy");
    private static readonly delegate* unmanaged<nint, byte*, CULong, byte*, int, int, int, int, int, int> Decompress =
        (delegate* unmanaged<nint, byte*, CULong, byte*, int, int, int, int, int, int>)Export("tjDecompress2");
    private static readonly delegate* unmanaged<nint, byte*> ErrorText = (delegate* unmanaged<nint, byte*>)Export("tjGetErrorStr2");
    private readonly PixelBuffer _buffer = new();
    private nint _handle = Init();

    /// <summary>Whether the library is on this machine.</summary>
    public static bool IsAvailable => Library != 0;

    /// <summary>Memory for decoded pictures.</summary>
    public PixelBuffer Buffer => _buffer;

    /// <summary>Decodes at an eighth, a quarter, half or full size.</summary>
    /// <param name="jpeg">Without oddities.</param>
    /// <param name="picture">Written whole, or empty: any warning means that part of it would be made up.</param>
    /// <param name="hasExtraneous">Whether the first warning is of bytes before a marker that belong to nothing: padding, or what damage
    /// left over.</param>
    public FrameError Decode(scoped ReadOnlySpan<byte> jpeg, scoped in JpegFile file, int eighths, out DecodedPicture picture,
        out bool hasExtraneous)
    {
        picture = default;
        hasExtraneous = false;
        int width = (file.Width * eighths + 7) / 8;
        int height = (file.Height * eighths + 7) / 8;
        int channels = file.IsCmyk ? 4 : 3;
        var pixels = _buffer.Rent((long)width * height * channels);
        fixed (byte* source = jpeg)
        fixed (byte* output = pixels)
        {
            int format = file.IsCmyk ? PixelFormatCmyk : PixelFormatRgb;
            if (Decompress(_handle, source, new CULong((nuint)jpeg.Length), output, width, width * channels, height, format,
                StopOnWarning) != 0) return Explain(out hasExtraneous);
        }
        if (file.IsCmyk) ToRgb(pixels);
        picture = new DecodedPicture(pixels, width, height, channels);
        return FrameError.None;
    }

    public void Dispose()
    {
        _buffer.Dispose();
        if (_handle != 0) _ = Destroy(_handle);
        _handle = 0;
    }

    /// <summary>Inks as Adobe writes them, and everybody after it: inverted, so that what is printed and what is black multiply.</summary>
    private static void ToRgb(Span<byte> pixels)
    {
        for (int i = 0; i < pixels.Length; i += 4)
        {
            int black = pixels[i + 3];
            for (int c = i; c < i + 3; c++) pixels[c] = (byte)((pixels[c] * black + 127) / 255);
        }
    }

    private FrameError Explain(out bool hasExtraneous)
    {
        var text = MemoryMarshal.CreateReadOnlySpanFromNullTerminated(ErrorText(_handle));
        hasExtraneous = text.IndexOf("extraneous bytes"u8) >= 0;
        // "Premature end of JPEG file" and "premature end of data segment".
        var error = text.IndexOf("remature end"u8) >= 0 ? FrameError.Truncated
            : text.IndexOf("nsupported"u8) >= 0 || text.IndexOf("not implemented"u8) >= 0 ? FrameError.UnsupportedFormat
            : FrameError.Corrupt;
        // After some errors the library would refuse the next picture too ("improper call in state 201").
        _ = Destroy(_handle);
        _handle = Init();
        return error;
    }

    private static nint Export(string name) => NativeLibraries.Export(Library, name);
}
