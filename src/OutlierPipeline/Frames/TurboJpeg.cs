using System.Runtime.InteropServices;

namespace OutlierPipeline.Frames;

/// <summary>libjpeg-turbo by its TurboJPEG 2 interface, where the library is on the machine. One a worker; not thread-safe; allocates nothing a frame.</summary>
internal sealed unsafe class TurboJpeg : IDisposable
{
    private const int PixelFormatRgb = 0;
    private const int ColorspaceCmyk = 3;
    private const int Warning = 0;
    private static readonly nint Library = NativeLibraries.Load("libturbojpeg.so.0", "libturbojpeg.so", "libturbojpeg.0.dylib", "libturbojpeg.dylib", "turbojpeg.dll");
    private static readonly delegate* unmanaged<nint> Init = (delegate* unmanaged<nint>)Export("tjInitDecompress");
    private static readonly delegate* unmanaged<nint, int> Destroy = (delegate* unmanaged<nint, int>)Export("tjDestroy");
    private static readonly delegate* unmanaged<nint, byte*, CULong, int*, int*, int*, int*, int> ReadHeader = (delegate* unmanaged<nint, byte*, CULong, int*, int*, int*, int*, int>)Export("tjDecompressHeader3");
    private static readonly delegate* unmanaged<nint, byte*, CULong, byte*, int, int, int, int, int, int> Decompress = (delegate* unmanaged<nint, byte*, CULong, byte*, int, int, int, int, int, int>)Export("tjDecompress2");
    private static readonly delegate* unmanaged<nint, byte*> ErrorText = (delegate* unmanaged<nint, byte*>)Export("tjGetErrorStr2");
    private static readonly delegate* unmanaged<nint, int> ErrorCode = (delegate* unmanaged<nint, int>)Export("tjGetErrorCode");
    private readonly PixelBuffer _buffer = new();
    private nint _handle = Init();

    /// <summary>Whether the library is on this machine.</summary>
    public static bool IsAvailable => Library != 0;

    /// <summary>Decodes at the smallest of the scales 1, 1/2, 1/4 and 1/8 (those that libjpeg-turbo computes with SIMD) that still covers the target.</summary>
    public FrameError Decode(ReadOnlySpan<byte> encoded, FrameSize target, AreaScaler scaler, Span<byte> rgb)
    {
        int width;
        int height;
        int subsampling;
        int colorspace;
        fixed (byte* source = encoded)
        {
            if (ReadHeader(_handle, source, new CULong((nuint)encoded.Length), &width, &height, &subsampling, &colorspace) != 0) return Renew(Explain());
            if (colorspace >= ColorspaceCmyk) return FrameError.UnsupportedFormat;
            int scale = DecodeScale.Eighths(width, height, target);
            int scaledWidth = (width * scale + 7) / 8;
            int scaledHeight = (height * scale + 7) / 8;
            var pixels = _buffer.Rent((long)scaledWidth * scaledHeight * 3);
            int result;
            fixed (byte* output = pixels) result = Decompress(_handle, source, new CULong((nuint)encoded.Length), output, scaledWidth, scaledWidth * 3, scaledHeight, PixelFormatRgb, 0);
            if (result != 0)
            {
                var error = Explain();
                if (error != FrameError.None) return Renew(error);
            }
            scaler.Scale(pixels, scaledWidth, scaledHeight, scaledWidth * 3, 3, rgb);
            return FrameError.None;
        }
    }

    public void Dispose()
    {
        _buffer.Dispose();
        if (_handle != 0) _ = Destroy(_handle);
        _handle = 0;
    }

    /// <summary>A warning means that part of the picture was made up: such a frame is not normal, and not scored.</summary>
    private FrameError Explain()
    {
        var text = MemoryMarshal.CreateReadOnlySpanFromNullTerminated(ErrorText(_handle));
        if (text.IndexOf("remature end"u8) >= 0) return FrameError.Truncated;
        // Bytes between two markers that belong to nothing: some cameras pad so, and no pixel is lost.
        if (ErrorCode(_handle) == Warning && text.IndexOf("extraneous bytes"u8) >= 0) return FrameError.None;
        return text.IndexOf("Unsupported"u8) >= 0 ? FrameError.UnsupportedFormat : FrameError.Corrupt;
    }

    /// <summary>After an error in the header the library would refuse the next picture too ("improper call in state 201").</summary>
    private FrameError Renew(FrameError error)
    {
        _ = Destroy(_handle);
        _handle = Init();
        return error;
    }

    private static nint Export(string name) => NativeLibraries.Export(Library, name);
}
