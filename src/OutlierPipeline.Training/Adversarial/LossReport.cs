using System.Globalization;
using System.Text;

namespace OutlierPipeline.Training.Adversarial;

/// <summary>Both losses of an adversarial training, for its package.</summary>
internal static class LossReport
{
    private const int Width = 640;
    private const int Height = 320;
    private const int Left = 50;
    private const int Right = 20;
    private const int Top = 40;
    private const int Bottom = 40;

    /// <summary>The loss of a discriminator that cannot tell the two apart, 2 ln 2; a generator's is half of it.</summary>
    private static readonly double Even = 2 * Math.Log(2);

    /// <summary>A line an epoch.</summary>
    public static byte[] ToCsv(IReadOnlyList<(double Discriminator, double Generator)> losses)
    {
        var text = new StringBuilder("epoch,discriminator,generator\n");
        for (int i = 0; i < losses.Count; i++)
            text.Append(CultureInfo.InvariantCulture, $"{i + 1},{losses[i].Discriminator:0.0000},{losses[i].Generator:0.0000}\n");
        return Encoding.UTF8.GetBytes(text.ToString());
    }

    /// <summary>The same as a picture, an SVG: a line each over the epochs, and a mark where the discriminator can tell nothing apart.
    /// </summary>
    public static byte[] ToSvg(IReadOnlyList<(double Discriminator, double Generator)> losses)
    {
        double[] all = [.. losses.SelectMany(loss => new[] { loss.Discriminator, loss.Generator }).Where(double.IsFinite), Even];
        double high = 1.1 * all.Max();
        double low = Math.Min(0, all.Min());
        var svg = new StringBuilder();
        svg.Append(CultureInfo.InvariantCulture, $"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {Width} {Height}\" " +
            $"font-family=\"sans-serif\" font-size=\"12\"><rect width=\"{Width}\" height=\"{Height}\" fill=\"white\"/>" +
            $"<text x=\"{Left}\" y=\"20\" font-size=\"14\">Losses of each epoch</text>");
        for (int k = 0; k <= 4; k++)
        {
            double value = low + k * (high - low) / 4;
            svg.Append(CultureInfo.InvariantCulture, $"<line x1=\"{Left}\" x2=\"{Width - Right}\" y1=\"{Y(value):0.0}\" " +
                $"y2=\"{Y(value):0.0}\" stroke=\"#ddd\"/><text x=\"{Left - 6}\" y=\"{Y(value) + 4:0.0}\" " +
                $"text-anchor=\"end\">{value:0.00}</text>");
        }
        svg.Append(CultureInfo.InvariantCulture, $"<line x1=\"{Left}\" x2=\"{Width - Right}\" y1=\"{Y(Even):0.0}\" y2=\"{Y(Even):0.0}\" " +
            $"stroke=\"#888\" stroke-dasharray=\"4 4\"/><text x=\"{Width - Right}\" y=\"{Y(Even) - 5:0.0}\" text-anchor=\"end\" " +
            $"fill=\"#888\">nothing told apart (discriminator)</text>");
        Line("discriminator", "#4682b4", [.. losses.Select(loss => loss.Discriminator)], 0);
        Line("generator", "#ff4500", [.. losses.Select(loss => loss.Generator)], 120);
        svg.Append(CultureInfo.InvariantCulture, $"<text x=\"{Left}\" y=\"{Height - 14}\">1</text><text x=\"{Width - Right}\" " +
            $"y=\"{Height - 14}\" text-anchor=\"end\">epoch {losses.Count}</text></svg>\n");
        return Encoding.UTF8.GetBytes(svg.ToString());

        double Y(double value) => Height - Bottom - (value - low) / (high - low) * (Height - Top - Bottom);

        void Line(string name, string colour, double[] values, int at)
        {
            string points = string.Join(' ', values.Select((value, i) => string.Create(CultureInfo.InvariantCulture,
                $"{Left + (values.Length < 2 ? 0.5 : i / (values.Length - 1.0)) * (Width - Left - Right):0.0},{Y(value):0.0}")));
            svg.Append(CultureInfo.InvariantCulture, $"<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" " +
                $"stroke-width=\"2\"/><text x=\"{Left + 200 + at}\" y=\"20\" fill=\"{colour}\">{name}</text>");
        }
    }
}
