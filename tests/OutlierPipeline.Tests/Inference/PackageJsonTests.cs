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
}
