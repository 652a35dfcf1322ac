using System.Diagnostics;
using OutlierPipeline.Models;

namespace OutlierPipeline.Tests;

public sealed class CameraPatternTests
{
    [Theory]
    [InlineData("car-1/front", "car-1/front", true)]
    [InlineData("car-1/front", "car-1/front2", false)]
    [InlineData("car-1/front", "CAR-1/front", false)]
    [InlineData("*", "", true)]
    [InlineData("", "", true)]
    [InlineData("", "a", false)]
    [InlineData("**", "anything", true)]
    [InlineData("truck-*", "truck-", true)]
    [InlineData("truck-*", "truck", false)]
    [InlineData("*front", "car/frontfront", true)]
    [InlineData("*/fro*", "car-1/left/front", true)]
    [InlineData("a*b*c", "aXbXbXc", true)]
    [InlineData("a*b*c", "aXbXbX", false)]
    [InlineData("car-?", "car-12", false)]
    [InlineData("car-?", "car-1", true)]
    [InlineData("car-?", "car-\U0001F600", true)]
    [InlineData("?", "\n", true)]
    [InlineData("[a-z]+(.*)^$|", "[a-z]+(.*)^$|", true)]
    [InlineData("[a-z]", "b", false)]
    [InlineData("\\*", "*", true)]
    [InlineData("\\*", "car", false)]
    [InlineData("\\?x", "?x", true)]
    [InlineData("\\?x", "ax", false)]
    [InlineData("a\\\\b", "a\\b", true)]
    [InlineData("a\\b", "a\\b", true)]
    [InlineData("a\\", "a\\", true)]
    public void A_star_is_any_text_a_question_mark_one_character_and_the_rest_is_what_it_is(string pattern, string camera, bool fits) =>
        Assert.Equal(fits, CameraPattern.Parse(pattern).Fits(camera));

    [Theory]
    [InlineData("*")]
    [InlineData("car-?")]
    [InlineData("a\\b*c?\\*")]
    [InlineData("plain/id")]
    public void The_pattern_of_an_id_fits_that_id_alone(string camera)
    {
        var exact = CameraPattern.Parse(CameraPattern.Exactly(camera).Text);
        Assert.True(exact.Fits(camera));
        foreach (string other in new[] { "", "car-1", camera + "x", "x" + camera,
            camera.Replace("*", "any", StringComparison.Ordinal).Replace('?', 'q') + "!" }) Assert.False(exact.Fits(other), other);
    }

    [Fact]
    public void Stars_in_dozens_cost_no_more_than_the_lengths_multiplied()
    {
        string camera = new('a', 128);
        var begun = Stopwatch.StartNew();
        foreach (string part in new[] { "*a", "a*", "*?", "?*a", "*aa" })
        {
            var pattern = CameraPattern.Parse(string.Concat(Enumerable.Repeat(part, 60)) + "b");
            for (int i = 0; i < 100; i++) Assert.False(pattern.Fits(camera));
        }
        // Backtracking takes longer than anybody lives for one of these.
        Assert.InRange(begun.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(5));
    }

    [Fact]
    public void A_pattern_that_is_none_is_refused()
    {
        Assert.Contains("expected at most 256", Assert.Throws<FormatException>(() => CameraPattern.Parse(new string('*', 257))).Message,
            StringComparison.Ordinal);
        Assert.Throws<FormatException>(() => CameraPattern.Parse("a\0b"));
    }
}
