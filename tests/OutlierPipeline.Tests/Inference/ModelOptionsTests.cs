using OutlierPipeline.Models;

namespace OutlierPipeline.Tests.Inference;

public sealed class ModelOptionsTests
{
    [Theory]
    [InlineData("car-1/front", "day")]
    [InlineData("truck-7/front", "truck")]
    [InlineData("truck-7/rear", "rear")]
    [InlineData("truck-77/rear", "truck")]
    [InlineData("a.b", "day")]
    [InlineData("axb", "day")]
    [InlineData("line\nbreak", "newline")]
    public void The_longest_pattern_that_fits_decides(string camera, string expected)
    {
        var options = new ModelOptions
        {
            Path = "day",
            Cameras = new() { ["truck-*"] = "truck", ["truck-?/rear"] = "rear", ["line*break"] = "newline" }
        };
        Assert.Equal(expected, options.PathFor(camera));
    }
}
