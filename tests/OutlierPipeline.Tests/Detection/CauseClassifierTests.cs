using System.Text;
using System.Text.Json;
using OutlierPipeline.Alerts;
using OutlierPipeline.Detection;
using OutlierPipeline.Models;

namespace OutlierPipeline.Tests.Detection;

public sealed class CauseClassifierTests
{
    /// <summary>Profiles of three values, of which the first two discriminate: fog to the right, blur upwards, and strong blur a little
    /// to the left of it.</summary>
    private static readonly CauseModel Model = new()
    {
        Causes = ["fog", "blur", "blur"],
        Projection = [1, 0, 0, 0, 1, 0],
        Normal = [1, 1],
        Directions = [1, 0, 0, 1, -0.6f, 0.8f],
        Bounds = [0.7f, 0.9f, 0.95f],
        Temperature = 0.1,
    };

    [Theory]
    [InlineData(1.1f, 1)]
    [InlineData(6, 1)]
    public void The_nearest_direction_is_named_with_its_probability_however_far_away_the_frame_is(float x, float y)
    {
        // Cosines 1, 0 and -0.6.
        var cause = CauseClassifier.Classify(Model, [x, y, 77]);
        Assert.Equal("fog", cause.Name);
        Assert.Equal(1 / (1 + Math.Exp(-1 / 0.1) + Math.Exp(-1.6 / 0.1)), cause.Probability, 1e-6);
    }

    [Fact]
    public void What_looks_in_several_ways_has_their_probability_together()
    {
        var cause = CauseClassifier.Classify(Model, [1, 3, 0]);
        Assert.Equal("blur", cause.Name);
        Assert.Equal(1, cause.Probability, 1e-3);
    }

    [Fact]
    public void What_lies_in_no_cause_s_direction_is_unknown()
    {
        Assert.Equal(new Cause(Cause.Unknown, 0), CauseClassifier.Classify(Model, [1, -4, 1]));
        // Each cause asks for an angle of its own: a cosine of 0.8 is enough for fog, and too little for blur.
        Assert.Equal("fog", CauseClassifier.Classify(Model, [1.8f, 1.6f, 1]).Name);
        Assert.Equal(Cause.Unknown, CauseClassifier.Classify(Model, [1.6f, 1.8f, 1]).Name);
        Assert.Equal(Cause.Unknown, CauseClassifier.Classify(Model, [float.NaN, 1, 1]).Name);
        Assert.Equal(Cause.Unknown, CauseClassifier.Classify(Model, [1, 1, 1]).Name);
    }

    [Fact]
    public void A_profile_of_another_length_is_refused() =>
        Assert.Throws<ArgumentException>(() => CauseClassifier.Classify(Model, [1, 2]));

    [Fact]
    public void The_file_is_read_as_it_was_written() =>
        Assert.Equal(CauseClassifier.Classify(Model, [5, 2, 3]), CauseClassifier.Classify(CauseModel.Parse(Model.ToJson()), [5, 2, 3]));

    [Theory]
    [InlineData("\"schema\":1", "\"schema\":2", "schema is 2")]
    [InlineData("[\"fog\",", "[\"blur\",", "different names")]
    [InlineData("\"directions\":[1,", "\"directions\":[1,1,", "for each")]
    [InlineData("\"projection\":[1,", "\"projection\":[1,1,", "projection")]
    [InlineData("\"bounds\":[0.7,", "\"bounds\":[1.7,", "bounds")]
    [InlineData("\"temperature\":0.1", "\"temperature\":0", "temperature")]
    public void A_damaged_file_is_refused_with_the_fault(string part, string damage, string fault)
    {
        string json = Encoding.UTF8.GetString(Model.ToJson());
        Assert.Contains(part, json, StringComparison.Ordinal);
        var refused = Assert.Throws<JsonException>(() => CauseModel.Parse(Encoding.UTF8.GetBytes(json.Replace(part, damage,
            StringComparison.Ordinal))));
        Assert.Contains(fault, refused.Message, StringComparison.Ordinal);
    }
}
