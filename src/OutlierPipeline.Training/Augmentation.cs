using OutlierPipeline.Footage;
using OutlierPipeline.Frames;
using static TorchSharp.torch;

namespace OutlierPipeline.Training;

/// <summary>Frames as they might have been as well: moved a little, a little brighter or darker. Not mirrored: cars keep to one
/// side.</summary>
internal static class Augmentation
{
    /// <summary>
    /// Brightness of a frame changes by up to this share, each colour by a third of it: a camera's exposure and white balance do as much.
    /// </summary>
    private const double Brightness = 0.05;

    /// <summary>Frames move by up to this many pixels: a car pitches and yaws.</summary>
    private const int Shift = 3;

    /// <returns>Grey levels, <c>[N, H, W, 3]</c>.</returns>
    public static Tensor Draw(DecodedFootage footage, ReadOnlySpan<int> indices, Random random, Device device)
    {
        int n = indices.Length;
        var size = footage.Size;
        byte[] pixels = new byte[n * size.Bytes];
        byte[] frame = new byte[size.Bytes];
        float[] gains = new float[n * 3];
        for (int i = 0; i < n; i++)
        {
            footage.Read(indices[i], frame);
            Move(frame, size, random.Next(-Shift, Shift + 1), random.Next(-Shift, Shift + 1), pixels.AsSpan(i * size.Bytes, size.Bytes));
            double gain = 1 + Brightness * (2 * random.NextDouble() - 1);
            for (int c = 0; c < 3; c++) gains[i * 3 + c] = (float)(gain * (1 + Brightness / 3 * (2 * random.NextDouble() - 1)));
        }
        return (tensor(pixels, [n, size.Height, size.Width, 3]).to(device).to(float32) * tensor(gains, [n, 1, 1, 3]).to(device))
            .clamp_max_(255);
    }

    /// <summary>Moves a picture down and right; the edge is repeated.</summary>
    private static void Move(ReadOnlySpan<byte> frame, FrameSize size, int down, int right, Span<byte> moved)
    {
        int stride = size.Width * 3;
        int kept = (size.Width - Math.Abs(right)) * 3;
        for (int y = 0; y < size.Height; y++)
        {
            var source = frame.Slice(Math.Clamp(y - down, 0, size.Height - 1) * stride, stride);
            var target = moved.Slice(y * stride, stride);
            source.Slice(right < 0 ? stride - kept : 0, kept).CopyTo(target[(right > 0 ? stride - kept : 0)..]);
            for (int x = 0; x < right; x++) source[..3].CopyTo(target[(x * 3)..]);
            for (int x = right; x < 0; x++) source[^3..].CopyTo(target[(stride + x * 3)..]);
        }
    }
}
