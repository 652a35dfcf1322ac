using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;
using OutlierPipeline.Frames;

namespace OutlierPipeline.Footage;

/// <summary>A run of frames in time order.</summary>
/// <param name="First">Index of its first frame in the footage.</param>
public readonly record struct DriveSpan(string Name, int First, int Count);

/// <summary>
/// Frames decoded by the service's own decoder, in a temporary file: a hundred thousand of them are more than memory. What is split off
/// shares it. Reading is thread-safe.
/// </summary>
public sealed class DecodedFootage : IDisposable
{
    private readonly SafeFileHandle _pixels;
    private readonly Entry[] _frames;

    private DecodedFootage(FrameSize size, SafeFileHandle pixels, Entry[] frames)
    {
        Size = size;
        _pixels = pixels;
        _frames = frames;
        var drives = new List<DriveSpan>();
        for (int i = 0; i < frames.Length; i++)
        {
            if (drives.Count == 0 || drives[^1].Name != frames[i].Drive) drives.Add(new DriveSpan(frames[i].Drive, i, 0));
            drives[^1] = drives[^1] with { Count = drives[^1].Count + 1 };
        }
        Drives = drives;
    }

    public FrameSize Size { get; }

    public int Count => _frames.Length;

    public IReadOnlyList<DriveSpan> Drives { get; }

    /// <summary>SHA-256 over the SHA-256 of each encoded picture, in order.</summary>
    public string Digest
    {
        get
        {
            using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            foreach (var frame in _frames) hash.AppendData(frame.Hash);
            return "sha256:" + Convert.ToHexStringLower(hash.GetHashAndReset());
        }
    }

    /// <summary>The file, or where in the video or topic the frame was.</summary>
    public string NameOf(int index) => _frames[index].Name;

    /// <summary>SHA-256 of the encoded picture.</summary>
    public ReadOnlySpan<byte> HashOf(int index) => _frames[index].Hash;

    /// <summary>When the frame was taken, from the beginning of its video; null where the source does not say.</summary>
    public TimeSpan? TimeOf(int index) => _frames[index].Time;

    /// <summary>The date and time the frame was taken at; null where the source does not say.</summary>
    public DateTimeOffset? TakenAt(int index) => _frames[index].Taken;

    /// <summary>Frames a second by the frames' own times, the median over neighbours; null where the source does not say.</summary>
    public double? FramesPerSecond
    {
        get
        {
            double[] steps = [.. Drives.SelectMany(drive => Enumerable.Range(drive.First + 1, Math.Max(0, drive.Count - 1)))
                .Select(i => (_frames[i].Time - _frames[i - 1].Time)?.TotalSeconds ?? 0).Where(step => step > 0).Order()];
            return steps.Length == 0 ? null : 1 / steps[steps.Length / 2];
        }
    }

    /// <summary>Reads one frame.</summary>
    /// <param name="rgb">Receives <c>[H, W, 3]</c> uint8, RGB.</param>
    public void Read(int index, Span<byte> rgb)
    {
        long at = _frames[index].Position * Size.Bytes;
        for (int read = 0; read < Size.Bytes;)
        {
            int now = RandomAccess.Read(_pixels, rgb[read..Size.Bytes], at + read);
            if (now == 0) throw new IOException("the temporary file of decoded frames is shorter than it was");
            read += now;
        }
    }

    /// <summary>One frame, <c>[H, W, 3]</c> uint8, RGB.</summary>
    public byte[] this[int index]
    {
        get
        {
            byte[] rgb = new byte[Size.Bytes];
            Read(index, rgb);
            return rgb;
        }
    }

    /// <summary>Every frame of which <paramref name="wanted"/> says so, in order.</summary>
    public DecodedFootage Where(Func<int, bool> wanted) => new(Size, _pixels, [.. _frames.Where((_, i) => wanted(i))]);

    /// <summary>
    /// Cuts each drive into consecutive blocks of time by shares that sum to 1. Never frame by frame: neighbouring frames are nearly the
    /// same, and
    /// one that was trained on would calibrate.
    /// </summary>
    public DecodedFootage[] SplitByTime(params double[] shares)
    {
        var block = new int[_frames.Length];
        foreach (var drive in Drives)
        {
            double sum = 0;
            for (int k = 0, from = 0; k < shares.Length; k++)
            {
                sum += shares[k];
                int to = k == shares.Length - 1 ? drive.Count : (int)Math.Round(sum * drive.Count);
                Array.Fill(block, k, drive.First + from, Math.Max(0, to - from));
                from = Math.Max(from, to);
            }
        }
        return [.. shares.Select((_, k) => Where(i => block[i] == k))];
    }

    /// <summary>Whether a frame of the same name is in both.</summary>
    public string? FirstSharedWith(DecodedFootage other)
    {
        var names = other._frames.Select(frame => frame.Name).ToHashSet();
        return _frames.FirstOrDefault(frame => names.Contains(frame.Name)).Name;
    }

    public void Dispose() => _pixels.Dispose();

    internal static DecodedFootage Of(FrameSize size, SafeFileHandle pixels, IEnumerable<Entry> frames) => new(size, pixels, [.. frames]);

    /// <summary>One frame, and where it stands in the file of pixels.</summary>
    internal readonly record struct Entry(string Drive, string Name, TimeSpan? Time, DateTimeOffset? Taken, byte[] Hash, long Position);
}
