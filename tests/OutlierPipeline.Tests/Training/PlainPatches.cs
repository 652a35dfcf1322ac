using OutlierPipeline.Frames;

namespace OutlierPipeline.Tests.Training;

/// <summary>What scores are made of, in plain loops over pixels.</summary>
internal sealed class PlainPatches
{
    private const double Floor = 0.25 / (255 * 255);
    private const int Side = 8;
    private readonly int _rows;
    private readonly int _columns;

    /// <summary>Of picture and residual: nine energies a patch.</summary>
    private readonly double[][,] _energies;

    /// <summary>Picture's and residual's mean grey and opponent colours a patch.</summary>
    private readonly double[][,] _colours;

    private readonly FrameSize _size;

    /// <param name="residual"><c>[H, W, 3]</c>.</param>
    public PlainPatches(byte[] frame, float[] residual, FrameSize size)
    {
        _size = size;
        (_rows, _columns) = (size.Height / Side, size.Width / Side);
        int plane = size.Height * size.Width;
        double[] picture = [.. Enumerable.Range(0, 3 * plane).Select(i => frame[i % plane * 3 + i / plane] / 255.0 - 0.5)];
        double[] rest = [.. Enumerable.Range(0, 3 * plane).Select(i => (double)residual[i % plane * 3 + i / plane])];
        double[] residualGrey = Grey(rest);
        MeanSquaredError = (float)residualGrey.Average(value => value * value);
        _energies = [Energies(Grey(picture)), Energies(residualGrey)];
        _colours = [Colours(picture), Colours(rest)];
    }

    public float MeanSquaredError { get; }

    private int Patches => _rows * _columns;

    public float[] Bands()
    {
        double[][] bands = [.. Enumerable.Range(0, 9).Select(band =>
            Enumerable.Range(0, Patches).Select(patch => (double)Log(_energies[0][band, patch])).ToArray())];
        double[][] colours = [.. Enumerable.Range(0, 3).Select(channel =>
            Enumerable.Range(0, Patches).Select(patch => _colours[0][channel, patch]).ToArray())];
        return [.. bands.Select(values => (float)values.Average()), .. colours.Select(values => (float)values.Average()),
            .. Means(bands, [-2, -1, 1, 2]), .. Means(colours, [-8, 8])];

        static IEnumerable<float> Means(double[][] channels, double[] exponents) =>
            exponents.SelectMany(t => channels.Select(values => (float)(Math.Log(values.Average(value => Math.Exp(t * value))) / t)));
    }

    /// <summary>24 values of each patch, then a mask of ones.</summary>
    public float[] Local() =>
        Of(patch => [.. _energies.SelectMany(energies => Nine(energies, patch)), .. _colours.SelectMany(colours => Three(colours, patch))]);

    private float[] Of(Func<int, float[]> patch) => [.. Enumerable.Range(0, Patches).SelectMany(patch), .. Enumerable.Repeat(1f, Patches)];

    private static IEnumerable<float> Nine(double[,] energies, int patch) =>
        Enumerable.Range(0, 9).Select(band => Log(energies[band, patch]));

    private static IEnumerable<float> Three(double[,] colours, int patch) =>
        Enumerable.Range(0, 3).Select(channel => (float)colours[channel, patch]);

    private static double[] Grey(double[] planes)
    {
        int plane = planes.Length / 3;
        return [.. Enumerable.Range(0, plane).Select(i => (planes[i] + planes[plane + i] + planes[2 * plane + i]) / 3)];
    }

    private double[,] Colours(double[] planes)
    {
        double[,] means = new double[3, Patches];
        for (int i = 0; i < planes.Length; i++)
        {
            int pixel = i % (_size.Height * _size.Width);
            means[i / (_size.Height * _size.Width),
                pixel / _size.Width / Side * _columns + pixel % _size.Width / Side] += planes[i] / (Side * Side);
        }
        double[,] opponent = new double[3, Patches];
        for (int patch = 0; patch < Patches; patch++)
        {
            var (r, g, b) = (means[0, patch], means[1, patch], means[2, patch]);
            opponent[0, patch] = (r + g + b) / 3;
            opponent[1, patch] = (r - b) / Math.Sqrt(6);
            opponent[2, patch] = (r - 2 * g + b) / Math.Sqrt(18);
        }
        return opponent;
    }

    private double[,] Energies(double[] level)
    {
        double[,] energies = new double[9, Patches];
        int width = _size.Width;
        int height = _size.Height;
        for (int scale = 0; scale < 3; scale++)
        {
            double[] coarser = new double[width / 2 * (height / 2)];
            int block = Side >> (scale + 1);
            for (int y = 0; y < height / 2; y++)
            {
                for (int x = 0; x < width / 2; x++)
                {
                    double a = level[2 * y * width + 2 * x];
                    double b = level[2 * y * width + 2 * x + 1];
                    double c = level[(2 * y + 1) * width + 2 * x];
                    double d = level[(2 * y + 1) * width + 2 * x + 1];
                    coarser[y * (width / 2) + x] = (a + b + c + d) / 4;
                    double[] details = [(a + b - c - d) / 4, (a - b + c - d) / 4, (a - b - c + d) / 4];
                    for (int k = 0; k < 3; k++)
                        energies[3 * scale + k, y / block * _columns + x / block] += details[k] * details[k] / (block * block);
                }
            }
            level = coarser;
            width /= 2;
            height /= 2;
        }
        return energies;
    }

    private static float Log(double energy) => (float)Math.Log(energy + Floor);
}
