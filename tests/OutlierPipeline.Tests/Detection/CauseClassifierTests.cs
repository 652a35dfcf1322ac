using System.Text;
using System.Text.Json;
using OutlierPipeline.Alerts;
using OutlierPipeline.Detection;
using OutlierPipeline.Models;

namespace OutlierPipeline.Tests.Detection;

public sealed class CauseClassifierTests
{
    /// <summary>Profiles of three values, of which the first two discriminate: fog at (4, 0), blur at (0, 4).</summary>
    private static readonly CauseModel Model = new()
    {
        Causes = ["fog", "blur"],
        Projection = [1, 0, 0, 0, 1, 0],
        Normal = [1, 1],
        Means = [4, 0, 0, 4],
        Spreads = [1, 2],
        Bound = 3,
        Temperature = 2,
    };

    [Fact]
    public void The_nearest_cause_is_named_with_its_probability()
    {
        // Squared distances 1 and 25 + 16: odds of e^(40/4).
        var cause = CauseClassifier.Classify(Model, [6, 1, 77]);
        Assert.Equal("fog", cause.Name);
        Assert.Equal(1 / (1 + Math.Exp(-40 / 4.0)), cause.Probability, 1e-12);
        Assert.Equal(0.5, CauseClassifier.Classify(Model with { Bound = 10 }, [3, 3, 1]).Probability, 1e-12);
    }

    [Fact]
    public void What_is_far_from_every_cause_is_unknown()
    {
        Assert.Equal(new Cause(Cause.Unknown, 0), CauseClassifier.Classify(Model, [-4, -4, 1]));
        // The bound is in units of the cause's own spread: 2.6² is beyond 2 · 3 of fog, and within 2 · 2 · 3 of blur.
        Assert.Equal(Cause.Unknown, CauseClassifier.Classify(Model, [7.6f, 1, 1]).Name);
        Assert.Equal("blur", CauseClassifier.Classify(Model, [1, 7.6f, 1]).Name);
        Assert.Equal(Cause.Unknown, CauseClassifier.Classify(Model, [float.NaN, 1, 1]).Name);
    }

    [Fact]
    public void A_profile_of_another_length_is_refused() =>
        Assert.Throws<ArgumentException>(() => CauseClassifier.Classify(Model, [1, 2]));

    [Fact]
    public void The_file_is_read_as_it_was_written() =>
        Assert.Equal(CauseClassifier.Classify(Model, [5, 2, 3]), CauseClassifier.Classify(CauseModel.Parse(Model.ToJson()), [5, 2, 3]));

    [Theory]
    [InlineData("\"schema\":1", "\"schema\":2", "schema is 2")]
    [InlineData("[\"fog\",\"blur\"]", "[\"fog\",\"fog\"]", "different names")]
    [InlineData("\"means\":[4,", "\"means\":[4,1,", "for each")]
    [InlineData("\"projection\":[1,", "\"projection\":[1,1,", "projection")]
    [InlineData("\"spreads\":[1,", "\"spreads\":[0,", "positive")]
    [InlineData("\"bound\":3", "\"bound\":0", "positive")]
    public void A_damaged_file_is_refused_with_the_fault(string part, string damage, string fault)
    {
        string json = Encoding.UTF8.GetString(Model.ToJson());
        Assert.Contains(part, json, StringComparison.Ordinal);
        var refused = Assert.Throws<JsonException>(() => CauseModel.Parse(Encoding.UTF8.GetBytes(json.Replace(part, damage,
            StringComparison.Ordinal))));
        Assert.Contains(fault, refused.Message, StringComparison.Ordinal);
    }
}
