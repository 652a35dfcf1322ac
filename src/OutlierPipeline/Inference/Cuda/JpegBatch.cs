using System.Runtime.InteropServices;
using OutlierPipeline.Frames;

namespace OutlierPipeline.Inference.Cuda;

/// <summary>
/// JPEGs that one batch leaves to nvJPEG: decoded together into device memory, and scaled from there into the batch's slots. No pixel of
/// full size touches the host.
/// What nvJPEG does not take is for the CPU.
/// </summary>
internal sealed unsafe class JpegBatch : IDisposable
{
    /// <summary>Pictures of full size that lie on the device at once, in bytes; one larger one may lie there alone.</summary>
    private const long StagingLimit = 512L << 20;

    private readonly NvJpeg _nvJpeg;
    private readonly ScaleKernel _scale;
    private readonly CudaStream _stream;
    private readonly FrameSize _size;
    private readonly nint _state;
    private readonly int _threads = Environment.ProcessorCount;
    private readonly DeviceBuffer _parameters;
    private readonly Jpeg[] _jpegs;
    private readonly GCHandle[] _pins;
    private readonly byte** _data;
    private readonly nuint* _lengths;
    private readonly NvJpegImage* _targets;
    private byte* _staging;
    private long _stagingBytes;
    private int _initialized;

    public JpegBatch(NvJpeg nvJpeg, ScaleKernel scale, CudaStream stream, int capacity, FrameSize size)
    {
        _nvJpeg = nvJpeg;
        _scale = scale;
        _stream = stream;
        _size = size;
        _state = nvJpeg.CreateState();
        _parameters = new DeviceBuffer((long)capacity * sizeof(ScaledPicture), stream);
        _jpegs = new Jpeg[capacity];
        _pins = new GCHandle[capacity];
        _data = (byte**)NativeMemory.Alloc((nuint)capacity, (nuint)sizeof(byte*));
        _lengths = (nuint*)NativeMemory.Alloc((nuint)capacity, (nuint)sizeof(nuint));
        _targets = (NvJpegImage*)NativeMemory.AllocZeroed((nuint)capacity, (nuint)sizeof(NvJpegImage));
    }

    /// <summary>Whether a slot's picture is decoded here; false also after nvJPEG has refused it.</summary>
    public bool Has(int slot) => _jpegs[slot].Encoded.Array is not null;

    /// <summary>A slot's JPEG.</summary>
    public ReadOnlySpan<byte> Encoded(int slot) => _jpegs[slot].Encoded;

    /// <summary>Leaves a slot's picture to nvJPEG. For several threads, each with slots of its own.</summary>
    /// <param name="encoded">Stays until the batch has run.</param>
    /// <param name="header">Of the picture, within the limits.</param>
    public void Add(int slot, ArraySegment<byte> encoded, in ImageHeader header) =>
        _jpegs[slot] = new Jpeg(encoded, ScaledPicture.Of(header.Width, header.Height, _size));

    public void Clear() => Array.Clear(_jpegs);

    /// <summary>
    /// Queues decoding and scaling of everything that was added; slots that nvJPEG refuses are told to <paramref name="refused"/>, and are
    /// its no longer.
    /// </summary>
    /// <param name="count">Slots in use.</param>
    /// <param name="pixels">The slots on the device, <c>[capacity, H, W, 3]</c>.</param>
    /// <exception cref="CudaException">The device failed.</exception>
    public void Decode(int count, byte* pixels, Action<int> refused)
    {
        int first = 0;
        while (first < count)
        {
            int end = first;
            long bytes = 0;
            while (end < count && (bytes == 0 || bytes + BytesOf(end) <= StagingLimit)) bytes += BytesOf(end++);
            if (bytes > 0) Decode(first, end, bytes, pixels, refused);
            first = end;
            // The same staging memory and parameters serve the next ones.
            if (first < count) _stream.Synchronize();
        }
    }

    /// <summary>Lets go of the JPEGs; the stream must have done its work.</summary>
    public void Release()
    {
        for (int slot = 0; slot < _pins.Length; slot++)
        {
            if (_pins[slot].IsAllocated) _pins[slot].Free();
        }
    }

    public void Dispose()
    {
        Release();
        _nvJpeg.DestroyState(_state);
        _parameters.Dispose();
        if (_staging != null) _stream.Runtime.Free(_staging);
        _staging = null;
        NativeMemory.Free(_data);
        NativeMemory.Free(_lengths);
        NativeMemory.Free(_targets);
    }

    private long BytesOf(int slot) => Has(slot) ? _jpegs[slot].Bytes : 0;

    private void Decode(int first, int end, long bytes, byte* pixels, Action<int> refused)
    {
        Reserve(bytes);
        long at = 0;
        int taken = 0;
        for (int slot = first; slot < end; slot++)
        {
            if (!Has(slot)) continue;
            Place(slot, taken++, _staging + at, pixels);
            at += _jpegs[slot].Bytes;
        }
        if (!TryDecode(0, taken))
        {
            // One bad picture spoils the batch: each alone, then, and the bad ones go.
            int kept = 0;
            at = 0;
            for (int slot = first; slot < end; slot++)
            {
                if (!Has(slot)) continue;
                Place(slot, kept, _staging + at, pixels);
                at += _jpegs[slot].Bytes;
                if (TryDecode(kept, 1))
                {
                    kept++;
                    continue;
                }
                refused(slot);
                _jpegs[slot] = default;
            }
            taken = kept;
        }
        if (taken == 0) return;
        _parameters.Upload(0, (long)taken * sizeof(ScaledPicture));
        _scale.Launch((ScaledPicture*)_parameters.Device, taken, _size, _stream.Handle);
    }

    /// <summary>Writes down where one picture comes from and goes to.</summary>
    private void Place(int slot, int index, byte* staging, byte* pixels)
    {
        ref var jpeg = ref _jpegs[slot];
        if (!_pins[slot].IsAllocated) _pins[slot] = GCHandle.Alloc(jpeg.Encoded.Array, GCHandleType.Pinned);
        _data[index] = (byte*)_pins[slot].AddrOfPinnedObject() + jpeg.Encoded.Offset;
        _lengths[index] = (nuint)jpeg.Encoded.Count;
        _targets[index] = new NvJpegImage { Channel0 = staging, Pitch0 = (nuint)jpeg.Picture.Width * 3 };
        var picture = jpeg.Picture;
        picture.Pixels = staging;
        picture.Target = pixels + (long)slot * _size.Bytes;
        ((ScaledPicture*)_parameters.Host)[index] = picture;
    }

    private bool TryDecode(int index, int count)
    {
        if (_initialized != count) _nvJpeg.Initialize(_state, count, _threads);
        bool isDecoded = _nvJpeg.Decode(_state, _data + index, _lengths + index, _targets + index, _stream.Handle);
        // A state whose batch failed must be initialized again.
        _initialized = isDecoded ? count : 0;
        return isDecoded;
    }

    private void Reserve(long bytes)
    {
        if (bytes <= _stagingBytes) return;
        if (_staging != null) _stream.Runtime.Free(_staging);
        _staging = null;
        _stagingBytes = 0;
        _staging = _stream.Runtime.Allocate(bytes);
        _stagingBytes = bytes;
    }

    /// <summary>An encoded picture, and its size and crop.</summary>
    private readonly record struct Jpeg(ArraySegment<byte> Encoded, ScaledPicture Picture)
    {
        /// <summary>Decoded, in full size; a multiple of what the device likes to begin at.</summary>
        public long Bytes => ((long)Picture.Width * Picture.Height * 3 + 255) / 256 * 256;
    }
}
