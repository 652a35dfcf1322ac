using System.IO.Hashing;

namespace OutlierPipeline.Detection;

/// <summary>
/// Whether a camera's pictures have stopped changing: identical, or all but identical as an encoder leaves a frozen picture. A standing car
/// is no
/// frozen camera, since the sensor's noise goes on. Looks at a thousand values spread over the picture.
/// </summary>
internal struct FrozenWatch
{
    private const int Samples = 1024;

    /// <summary>
    /// Of the samples, so many may change, not quite one in a hundred: noise changes many more, even where scaling has averaged it.
    /// </summary>
    private const int Tolerance = 8;

    private byte[]? _samples;

    /// <summary>Whether the picture is the one that stands, by its samples or, right after a restart, by their hash alone.</summary>
    /// <param name="pixels"><c>[H, W, 3]</c> uint8, RGB.</param>
    /// <param name="hash">XxHash3 of the samples of the picture that stands; of this one where it is another.</param>
    public bool IsSame(ReadOnlySpan<byte> pixels, ref ulong hash)
    {
        Span<byte> now = stackalloc byte[Samples];
        int count = Math.Min(Samples, pixels.Length);
        // An odd stride would stay on one colour; the golden ratio spreads over all.
        for (int i = 0; i < count; i++) now[i] = pixels[(int)((ulong)i * 0x9E3779B97F4A7C15 % (ulong)pixels.Length)];
        now = now[..count];
        ulong current = XxHash3.HashToUInt64(now);
        bool same = _samples is not null ? Differences(_samples, now) <= Tolerance : current == hash;
        if (_samples is null || _samples.Length != count) _samples = new byte[count];
        // What is compared with is the picture that stood first: a slow change is a change.
        if (same && current != hash) return true;
        now.CopyTo(_samples);
        hash = current;
        return same;
    }

    private static int Differences(ReadOnlySpan<byte> a, ReadOnlySpan<byte> b)
    {
        if (a.Length != b.Length) return int.MaxValue;
        int differences = 0;
        for (int i = 0; i < a.Length; i++) differences += a[i] == b[i] ? 0 : 1;
        return differences;
    }
}
