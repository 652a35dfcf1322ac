using OutlierPipeline.Footage.Simulation;
using OutlierPipeline.Frames;
using SkiaSharp;
using static OutlierPipeline.Evaluation.CorruptedPicture;

namespace OutlierPipeline.Evaluation;

/// <summary>
/// What happens to cameras, to look at a model with: never to fit what detects. What names the causes is learned from it. Applied at the
/// model's size, lengths being shares of the picture's height.
/// </summary>
/// <remarks>
/// Noise, blur, weather and digital kinds after Hendrycks and Dietterich, Benchmarking Neural Network Robustness to Common Corruptions and
/// Perturbations, ICLR 2019; the camera's own faults and obstacles are this project's.
/// </remarks>
public static class CorruptionSuite
{
    public static IReadOnlyList<Corruption> All { get; } =
    [
        new("gaussian-noise", "noise", [0.03, 0.05, 0.08, 0.12, 0.18], (picture, strength) =>
        picture.Map(value => value + strength * picture.Normal())) { Cause = "noise" },
        new("shot-noise", "noise", [0.03, 0.05, 0.08, 0.12, 0.18], (picture, strength) =>
            picture.Map(value => value + strength * 1.5 * Math.Sqrt(value) * picture.Normal())) { Cause = "noise" },
        new("impulse-noise", "noise", [0.005, 0.01, 0.02, 0.05, 0.1], (picture, strength) =>
            picture.Map(value => picture.Random.NextDouble() < strength ? picture.Random.Next(2) : value)) { Cause = "noise" },
        new("defocus-blur", "blur", [0.005, 0.008, 0.012, 0.018, 0.025], GaussianBlur) { Cause = "blur" },
        new("motion-blur", "blur", [0.02, 0.03, 0.05, 0.08, 0.12], MotionBlur) { Cause = "blur" },
        new("fog", "weather", [0.25, 0.4, 0.55, 0.75, 1], Weather(Trouble.Fog)) { Cause = "fog" },
        new("snow", "weather", [0.2, 0.35, 0.5, 0.75, 1], Weather(Trouble.Snow)) { Cause = "snow" },
        new("rain", "weather", [0.2, 0.35, 0.5, 0.75, 1], Weather(Trouble.Rain)) { Cause = "rain" },
        new("contrast", "digital", [0.75, 0.6, 0.45, 0.3, 0.2], Contrast),
        new("pixelate", "digital", [0.6, 0.5, 0.4, 0.3, 0.2], Pixelate),
        new("jpeg", "digital", [30, 20, 12, 8, 4], Jpeg),
        new("overexposure", "camera", [1.25, 1.45, 1.7, 2.1, 2.8], Brightness) { Cause = "glare" },
        new("underexposure", "camera", [0.75, 0.6, 0.45, 0.3, 0.15], Brightness) { Cause = "dark" },
        new("colour-cast", "camera", [0.05, 0.1, 0.15, 0.25, 0.4], ColourCast) { Cause = "colour cast" },
        new("lens-dirt", "camera", [0.3, 0.45, 0.6, 0.8, 1], Weather(Trouble.DirtyLens)) { Cause = "dirt or drop" },
        new("dead-rows", "camera", [1, 2, 3, 6, 10], DeadRows) { Cause = "dead rows" },
        new("frozen", "camera", [1, 1, 1, 1, 1], (_, _) => { }) { IsFrozen = true },
        new("obstacle", "obstacle", [0.0625, 0.09, 0.125, 0.18, 0.25], Obstacle) { Cause = "obstacle", HasMask = true },
    ];

    private static Corruption.Painter Weather(Trouble trouble) => (picture, strength) =>
    {
        // Dirt stays where it is; flakes and drops do not.
        int seed = trouble == Trouble.DirtyLens ? picture.DriveSeed : picture.Random.Next();
        using var bitmap = RgbBitmap.Of(picture.Rgb, picture.Size);
        using var canvas = new SKCanvas(bitmap);
        using var weather = new WeatherAndFaults(seed, picture.Size.Width, picture.Size.Height);
        weather.Draw(canvas, bitmap, trouble, strength);
        canvas.Flush();
        FromBitmap(bitmap, picture);
    };

    /// <summary>
    /// The deviation is a share of the picture's height. Not Skia's blur, which leaves a picture alone below a deviation of a pixel.
    /// </summary>
    private static void GaussianBlur(CorruptedPicture picture, double strength)
    {
        double deviation = strength * picture.Size.Height;
        int reach = (int)Math.Ceiling(3 * deviation);
        double[] weights = [.. Enumerable.Range(-reach, 2 * reach + 1).Select(k => Math.Exp(-0.5 * k * k / (deviation * deviation)))];
        double sum = weights.Sum();
        var (width, height) = (picture.Size.Width, picture.Size.Height);
        double[] rows = new double[picture.Rgb.Length];
        for (int i = 0; i < rows.Length; i++)
        {
            int x = i / 3 % width;
            for (int k = -reach; k <= reach; k++)
                rows[i] += weights[k + reach] / sum * picture.Rgb[i + (Math.Clamp(x + k, 0, width - 1) - x) * 3];
        }
        for (int i = 0; i < rows.Length; i++)
        {
            int y = i / 3 / width;
            double value = 0;
            for (int k = -reach; k <= reach; k++)
                value += weights[k + reach] / sum * rows[i + (Math.Clamp(y + k, 0, height - 1) - y) * 3 * width];
            picture.Rgb[i] = (byte)Math.Round(value);
        }
    }

    private static void MotionBlur(CorruptedPicture picture, double strength)
    {
        int length = Math.Max(2, (int)Math.Round(strength * picture.Size.Width));
        byte[] sharp = [.. picture.Rgb];
        for (int y = 0; y < picture.Size.Height; y++)
        {
            for (int x = 0; x < picture.Size.Width; x++)
            {
                for (int c = 0; c < 3; c++)
                {
                    int sum = 0;
                    for (int k = 0; k < length; k++)
                        sum += sharp[(y * picture.Size.Width + Math.Clamp(x + k - length / 2, 0, picture.Size.Width - 1)) * 3 + c];
                    picture.Rgb[(y * picture.Size.Width + x) * 3 + c] = (byte)(sum / length);
                }
            }
        }
    }

    private static void Brightness(CorruptedPicture picture, double strength) => picture.Map(value => value * strength);

    private static void Contrast(CorruptedPicture picture, double strength)
    {
        double mean = picture.Rgb.Average(value => value / 255.0);
        picture.Map(value => mean + strength * (value - mean));
    }

    private static void Pixelate(CorruptedPicture picture, double strength)
    {
        using var sharp = RgbBitmap.Of(picture.Rgb, picture.Size);
        var small = new SKSizeI(Math.Max(1, (int)(strength * picture.Size.Width)), Math.Max(1, (int)(strength * picture.Size.Height)));
        using var reduced = sharp.Resize(small, new SKSamplingOptions(SKFilterMode.Linear));
        using var enlarged = reduced.Resize(new SKSizeI(picture.Size.Width, picture.Size.Height),
            new SKSamplingOptions(SKFilterMode.Nearest));
        FromBitmap(enlarged, picture);
    }

    private static void Jpeg(CorruptedPicture picture, double strength)
    {
        using var bitmap = RgbBitmap.Of(picture.Rgb, picture.Size);
        using var encoded = bitmap.Encode(SKEncodedImageFormat.Jpeg, (int)strength);
        using var decoded = SKBitmap.Decode(encoded,
            new SKImageInfo(picture.Size.Width, picture.Size.Height, SKColorType.Rgba8888, SKAlphaType.Opaque));
        FromBitmap(decoded, picture);
    }

    private static void ColourCast(CorruptedPicture picture, double strength)
    {
        int channel = new Random(picture.DriveSeed).Next(3);
        for (int i = 0; i < picture.Rgb.Length; i++)
            picture.Rgb[i] = ToByte(picture.Rgb[i] / 255.0 * (i % 3 == channel ? 1 + strength : 1 - strength / 2));
    }

    private static void DeadRows(CorruptedPicture picture, double strength)
    {
        var random = new Random(picture.DriveSeed);
        for (int k = 0; k < (int)strength; k++)
            Array.Clear(picture.Rgb, random.Next(picture.Size.Height) * picture.Size.Width * 3, picture.Size.Width * 3);
    }

    /// <summary>A box of two colours, somewhere in the lower two thirds; its side is a share of the picture's width.</summary>
    private static void Obstacle(CorruptedPicture picture, double strength)
    {
        int side = Math.Max(2, (int)Math.Round(strength * picture.Size.Width));
        int top = picture.Random.Next(picture.Size.Height / 3, Math.Max(picture.Size.Height / 3 + 1, picture.Size.Height - side));
        int left = picture.Random.Next(0, picture.Size.Width - side);
        byte[] colours = new byte[6];
        picture.Random.NextBytes(colours);
        int stripe = Math.Max(1, side / 5);
        for (int y = top; y < Math.Min(top + side, picture.Size.Height); y++)
        {
            for (int x = left; x < left + side; x++)
            {
                int at = y * picture.Size.Width + x;
                picture.Mask[at] = 1;
                colours.AsSpan((y - top) / stripe % 2 * 3, 3).CopyTo(picture.Rgb.AsSpan(at * 3));
            }
        }
    }

    private static void FromBitmap(SKBitmap bitmap, CorruptedPicture picture)
    {
        var source = bitmap.GetPixelSpan();
        for (int i = 0, o = 0; i < picture.Rgb.Length; i += 3, o += 4) source.Slice(o, 3).CopyTo(picture.Rgb.AsSpan(i));
    }
}
