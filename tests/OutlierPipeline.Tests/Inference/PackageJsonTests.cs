using System.Text.Json;
using System.Text.Json.Nodes;
using OutlierPipeline.Models;
using OutlierPipeline.Pipeline;
using OutlierPipeline.Tests.Support;

namespace OutlierPipeline.Tests.Inference;

/// <summary>What only somebody who means harm writes into a package or a record.</summary>
public sealed class PackageJsonTests
{
    [Theory]
    [InlineData("""{"schema":1,"topicId":{}}""")]
    [InlineData("""{"schema":1,"topicId":5}""")]
    [InlineData("""{"topicId":"\ud800"}""")]
    [InlineData("[1]")]
    [InlineData("5")]
    public void A_topics_id_that_is_no_text_is_not_known(string record) =>
        Assert.Null(TopicIdentity.Read(System.Text.Encoding.UTF8.GetBytes(record)));

    [Theory]
    [InlineData("scores", "[null]")]
    [InlineData("sorted", """{"recon":null}""")]
    [InlineData("rows", "[null]")]
    [InlineData("drives", "[2147483647,2147483647]")]
    public void A_calibration_with_null_or_sums_beyond_a_number_is_refused(string key, string value)
    {
        var json = JsonNode.Parse(File.ReadAllBytes(Path.Combine(Repository.CamVidDay, "calibration.json")))!;
        json[key] = JsonNode.Parse(value);
        Assert.Throws<JsonException>(() => Calibration.Parse(JsonSerializer.SerializeToUtf8Bytes(json)));
    }

    [Theory]
    [InlineData("../calibration.json")]
    [InlineData("/etc/hostname")]
    [InlineData("own\0.json")]
    public void A_file_outside_the_package_is_refused(string name)
    {
        var package = ModelPackage.Load(Repository.CamVidDay);
        Assert.Contains("does not lie in the package",
            Assert.Throws<ModelPackageException>(() => package.ReadFile(name)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(null, null, null)]
    [InlineData(360, 480, null)]
    [InlineData(360, null, "second is ×360; both sides are needed")]
    [InlineData(360, 1_000_000_000, "second is 1000000000×360; both sides are needed")]
    [InlineData(-1, 480, "second is 480×-1; both sides are needed")]
    public void A_second_graph_for_frames_of_no_size_is_refused(int? height, int? width, string? expected)
    {
        var card = ModelPackage.Load(Repository.CamVidDay).Card;
        byte[] json = (card with
        {
            Second = new SecondCard { Scores = ["classes"], Classes = [], Source = "pairs 1.0.0", Height = height, Width = width }
        }).ToJson();
        if (expected is not null)
        {
            Assert.Contains(expected, Assert.Throws<JsonException>(() => ModelCard.Parse(json)).Message, StringComparison.Ordinal);
            return;
        }
        var size = ModelCard.Parse(json).Second!.SizeBeside(card.Network);
        Assert.Equal((height ?? card.Network.Height, width ?? card.Network.Width), (size.Height, size.Width));
    }
}
