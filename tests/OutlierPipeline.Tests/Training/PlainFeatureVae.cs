using OutlierPipeline.Frames;

namespace OutlierPipeline.Tests.Training;

/// <summary>The network of a feature VAE and the squared errors of its cells, in plain loops: no tensor library in between.</summary>
internal sealed class PlainFeatureVae(IReadOnlyDictionary<string, (float[] Values, long[] Shape)> weights, FrameSize size,
    int channels, int code)
{
    /// <summary>The squared error of each cell.</summary>
    /// <param name="cells"><c>[h·w, C]</c>.</param>
    public double[] Errors(float[] cells)
    {
        int columns = size.Width / 8;
        int rows = size.Height / 8;
        double[] errors = new double[rows * columns];
        for (int cell = 0; cell < errors.Length; cell++)
        {
            double y = (2.0 * (cell / columns) + 1) / rows - 1;
            double x = (2.0 * (cell % columns) + 1) / columns - 1;
            double[] place = [y, x, y * y, x * x, x * y];
            double[] values = [.. Enumerable.Range(0, channels).Select(k =>
                (cells[cell * channels + k] - weights["centre"].Values[k]) / (double)weights["spread"].Values[k])];
            double[] mean = [.. Dense(Leaky(Sum(Dense(values, "encode"), Product(place, "encode.place"))), "code").Take(code)];
            double[] drawn = Dense(Leaky(Sum(Dense(mean, "decode"), Product(place, "decode.place"))), "draw");
            for (int k = 0; k < channels; k++) errors[cell] += (values[k] - drawn[k]) * (values[k] - drawn[k]);
        }
        return errors;
    }

    /// <summary>One frame's errors less their mean in each place and over their deviation there, both smoothed over 3 × 5 places.</summary>
    public static double[] Standardised(double[][] frames, int index, int rows, int columns)
    {
        double[] mean = [.. Enumerable.Range(0, rows * columns).Select(cell => frames.Average(frame => frame[cell]))];
        double[] deviation = [.. Enumerable.Range(0, rows * columns).Select(cell =>
            Math.Sqrt(frames.Sum(frame => Math.Pow(frame[cell] - mean[cell], 2)) / (frames.Length - 1)))];
        return [.. Enumerable.Range(0, rows * columns).Select(cell =>
            (frames[index][cell] - Around(mean, cell)) / (Around(deviation, cell) + 1e-3))];

        double Around(double[] map, int cell) => Enumerable.Range(0, map.Length)
            .Where(other => Math.Abs(other / columns - cell / columns) <= 1 && Math.Abs(other % columns - cell % columns) <= 2)
            .Average(other => map[other]);
    }

    private double[] Dense(double[] row, string layer) =>
        Sum(Product(row, layer + ".weight"), [.. weights[layer + ".bias"].Values.Select(value => (double)value)]);

    private double[] Product(double[] row, string name)
    {
        var (values, shape) = weights[name];
        double[] product = new double[shape[1]];
        for (int i = 0; i < row.Length; i++)
        {
            for (int j = 0; j < product.Length; j++) product[j] += row[i] * values[i * product.Length + j];
        }
        return product;
    }

    private static double[] Sum(double[] a, double[] b) => [.. a.Zip(b, (x, y) => x + y)];

    private static double[] Leaky(double[] row) => [.. row.Select(value => value > 0 ? value : 0.1 * value)];
}
