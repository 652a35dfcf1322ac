using OutlierPipeline.Evaluation;

namespace OutlierPipeline.Tests.Evaluation;

public sealed class DisentanglementTests
{
    private const int Frames = 2000;

    [Fact]
    public void A_code_of_one_dimension_a_factor_has_the_highest_figures_and_each_dimension_a_name()
    {
        var (factors, random) = Factors();
        // Other order, sign and scale, one bent, and a dimension that says nothing.
        float[][] codes = [.. factors.Select(row => new[] { 2 - 3 * row[2], row[0], row[1] * row[1], random.NextSingle() })];
        var measured = Disentanglement.Measure(codes, factors);
        Assert.InRange(measured.Mig, 0.8, 1);
        Assert.InRange(measured.OneFactorADimension, 0.9, 1);
        Assert.InRange(measured.OneDimensionAFactor, 0.9, 1);
        Assert.InRange(measured.Informativeness, 0.9, 1);
        Assert.Equal([2, 0, 1], measured.Explained.Take(3).Select(explained => explained.Factor));
        Assert.All(measured.Explained.Take(3), explained => Assert.InRange(explained.R2, 0.99, 1));
        Assert.InRange(measured.Explained[3].R2, -1, 0.05);
    }

    [Fact]
    public void A_rotated_code_says_as_much_but_has_no_dimension_for_a_factor()
    {
        var (factors, _) = Factors();
        float[][] codes = [.. factors.Select(row => new[] { row[0] + row[1] + row[2], row[0] - row[1], row[0] + row[1] - 2 * row[2] })];
        var measured = Disentanglement.Measure(codes, factors);
        Assert.InRange(measured.Mig, 0, 0.25);
        Assert.InRange(measured.OneFactorADimension, 0, 0.5);
        Assert.InRange(measured.Informativeness, 0.95, 1);
        Assert.DoesNotContain(measured.Explained, explained => explained.R2 >= Disentanglement.NamingR2);
    }

    [Fact]
    public void A_code_that_says_nothing_has_nothing()
    {
        var (factors, random) = Factors();
        float[][] codes = [.. factors.Select(_ => new[] { random.NextSingle(), random.NextSingle() })];
        var measured = Disentanglement.Measure(codes, factors);
        Assert.InRange(measured.Mig, 0, 0.02);
        Assert.InRange(measured.Informativeness, -0.1, 0.02);
    }

    [Fact]
    public void Total_correlation_and_information_are_those_of_a_normal_distribution()
    {
        // Posteriors of variance s around codes of correlation r and variance 1 - s: the aggregate is normal with variance 1 and
        // correlation (1 - s) r, whose total correlation is -½ ln(1 - ρ²); the code knows ½ Σ ln (eigenvalue / s) of the frame.
        const double S = 0.2, R = 0.8, Rho = (1 - S) * R;
        var random = new Random(3);
        double[][] means = [.. Enumerable.Range(0, Frames).Select(_ =>
        {
            double a = CorruptedPicture.Normal(random);
            double b = R * a + Math.Sqrt(1 - R * R) * CorruptedPicture.Normal(random);
            return new[] { a * Math.Sqrt(1 - S), b * Math.Sqrt(1 - S) };
        })];
        double[][] variances = [.. means.Select(_ => new[] { S, S })];
        var information = LatentInformation.Measure(means, variances, seed: 1);
        Assert.Equal(-0.5 * Math.Log(1 - Rho * Rho), information.TotalCorrelation, tolerance: 0.05);
        Assert.Equal(0.5 * (Math.Log((1 + Rho) / S) + Math.Log((1 - Rho) / S)), information.MutualInformation, tolerance: 0.08);
        Assert.Equal(0, information.DimensionKl, tolerance: 0.05);
        Assert.Equal(information.KlPerDimension.Sum(), information.MutualInformation + information.TotalCorrelation
            + information.DimensionKl, tolerance: 0.1);
    }

    /// <summary>Three independent, uniform ones.</summary>
    private static (float[][] Factors, Random Random) Factors()
    {
        var random = new Random(1);
        return ([.. Enumerable.Range(0, Frames).Select(_ => new[] { random.NextSingle(), random.NextSingle(), random.NextSingle() })],
            random);
    }
}
