using OutlierPipeline.Inference;
using OutlierPipeline.Models;

namespace OutlierPipeline.Evaluation;

/// <summary>What a model knows, as pictures: how it draws frames, samples of the prior, walks through the code.</summary>
public sealed class Gallery(InferenceEngine engine, LatentDecoder decoder)
{
    /// <summary>Reach of a walk along one dimension, in deviations of the prior.</summary>
    private const float Reach = 2.5f;

    private readonly NetworkCard _network = engine.Package.Card.Network;

    /// <summary>Pictures of codes drawn from the prior.</summary>
    /// <returns><c>[n, H, W, 3]</c> uint8, RGB.</returns>
    public static byte[] Sample(LatentDecoder decoder, int count, int seed) => decoder.Draw(Codes(decoder.Latent, count, seed));

    /// <summary>A row a pair of codes drawn from the prior: the way from one to the other, on the sphere that codes lie near.</summary>
    /// <returns><c>[rows · steps, H, W, 3]</c> uint8, RGB.</returns>
    /// <remarks>White, Sampling Generative Networks, 2016.</remarks>
    public static byte[] Interpolate(LatentDecoder decoder, int rows, int steps, int seed)
    {
        float[][] ends = [.. Codes(decoder.Latent, 2 * rows, seed).Chunk(decoder.Latent)];
        return decoder.Draw([.. Enumerable.Range(0, rows).SelectMany(row =>
        {
            var (from, to) = (ends[2 * row], ends[2 * row + 1]);
            double cosine = from.Zip(to, (a, b) => (double)a * b).Sum()
                / Math.Sqrt(from.Sum(a => (double)a * a) * to.Sum(b => (double)b * b));
            double angle = Math.Acos(Math.Clamp(cosine, -0.999, 0.999));
            return Enumerable.Range(0, steps).SelectMany(step =>
            {
                double share = steps == 1 ? 0 : (double)step / (steps - 1);
                var (first, second) = (Math.Sin((1 - share) * angle) / Math.Sin(angle), Math.Sin(share * angle) / Math.Sin(angle));
                return from.Zip(to, (a, b) => (float)(first * a + second * b));
            });
        })]);
    }

    private static float[] Codes(int latent, int count, int seed)
    {
        var random = new Random(seed);
        float[] codes = new float[count * latent];
        for (int i = 0; i < codes.Length; i++) codes[i] = (float)CorruptedPicture.Normal(random);
        return codes;
    }

    /// <summary>Each frame and below it how the model draws it: the two rows of a grid.</summary>
    /// <param name="frames"><c>[n, H, W, 3]</c> uint8, RGB.</param>
    public byte[] Reconstruct(byte[] frames, FrameMask? mask) => engine.Reconstruct(frames, mask);

    /// <summary>A row a dimension: the code of a frame with one of its numbers going from −2.5 to 2.5.</summary>
    /// <param name="frame">The frame to start from, or empty for the middle of the prior.</param>
    /// <param name="dimensions">Which ones.</param>
    public byte[] Traverse(byte[] frame, IReadOnlyList<int> dimensions, int steps, FrameMask? mask)
    {
        float[] centre = frame.Length == 0 ? new float[_network.Latent] : engine.Compute(frame, mask, "latent")[0];
        float[] codes = new float[dimensions.Count * steps * _network.Latent];
        for (int row = 0; row < dimensions.Count; row++)
        {
            for (int step = 0; step < steps; step++)
            {
                var code = codes.AsSpan((row * steps + step) * _network.Latent, _network.Latent);
                centre.CopyTo(code);
                code[dimensions[row]] = steps == 1 ? 0 : -Reach + 2 * Reach * step / (steps - 1);
            }
        }
        return decoder.Draw(codes);
    }

    /// <summary>The dimensions whose code varies most from frame to frame, the widest first.</summary>
    /// <param name="frames"><c>[n, H, W, 3]</c> uint8, RGB.</param>
    public int[] WidestDimensions(byte[] frames, FrameMask? mask)
    {
        float[] codes = engine.Compute(frames, mask, "latent")[0];
        int n = codes.Length / _network.Latent;
        return [.. Enumerable.Range(0, _network.Latent).OrderByDescending(d =>
        {
            double mean = Enumerable.Range(0, n).Average(i => codes[i * _network.Latent + d]);
            return Enumerable.Range(0, n).Average(i => Math.Pow(codes[i * _network.Latent + d] - mean, 2));
        })];
    }

    /// <summary>The error maps of frames, as pictures.</summary>
    /// <inheritdoc cref="Reconstruct"/>
    public byte[] ErrorMaps(byte[] frames, FrameMask? mask) =>
        PictureGrid.Heat(engine.Compute(frames, mask, "error_map")[0], _network.ErrorMapHeight, _network.ErrorMapWidth, _network.Size);
}
