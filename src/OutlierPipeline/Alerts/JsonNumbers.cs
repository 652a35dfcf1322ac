using System.Globalization;
using System.Text.Json;
using OutlierPipeline.Frames;

namespace OutlierPipeline.Alerts;

/// <summary>Numbers and times as they stand in the records.</summary>
internal static class JsonNumbers
{
    /// <summary>JSON knows no infinity: the largest float stands for it, and for what is not a number.</summary>
    public static float Finite(float value) => float.IsFinite(value)
        ? value
        : float.IsNegativeInfinity(value)
        ? -float.MaxValue
        : float.MaxValue;

    /// <summary>RFC 3339, UTC, with nanoseconds. A time beyond the year 9999 is written as its last second.</summary>
    public static void WriteTime(Utf8JsonWriter json, ReadOnlySpan<byte> name, long unixNanoseconds)
    {
        Span<char> text = stackalloc char[40];
        long seconds = Math.DivRem(unixNanoseconds, UnixNanoseconds.PerSecond, out long nanoseconds);
        if (nanoseconds < 0)
        {
            nanoseconds += UnixNanoseconds.PerSecond;
            seconds--;
        }
        var time = DateTime.UnixEpoch.AddTicks(Math.Min(seconds,
            (DateTime.MaxValue - DateTime.UnixEpoch).Ticks / TimeSpan.TicksPerSecond - 1) * TimeSpan.TicksPerSecond);
        text.TryWrite(CultureInfo.InvariantCulture, $"{time:yyyy-MM-dd'T'HH:mm:ss}.{nanoseconds:000000000}Z", out int length);
        json.WriteString(name, text[..length]);
    }
}
