using Microsoft.Extensions.Logging.Abstractions;
using OutlierPipeline.Frames;
using OutlierPipeline.Inference;
using OutlierPipeline.Tests.Support;

namespace OutlierPipeline.Tests.Inference;

public sealed class ModelPackageTests : IDisposable
{
    private readonly string _copy = Directory.CreateTempSubdirectory().FullName;

    public ModelPackageTests()
    {
        foreach (string file in Directory.GetFiles(Repository.StreetDemo)) File.Copy(file, Path.Combine(_copy, Path.GetFileName(file)));
    }

    public void Dispose() => Directory.Delete(_copy, recursive: true);

    public static TheoryData<string, string, string> Faults => new()
    {
        { "model.onnx", "missing", "is missing" },
        { "model.onnx", "truncated", "is not the file that model.json describes" },
        { "model.onnx", "empty", "is not the file that model.json describes" },
        { "calibration.json", "missing", "is missing" },
        { "calibration.json", "truncated", "is not the file that model.json describes" },
        { "model.json", "missing", "is missing" },
        { "model.json", "truncated", "cannot be read" },
        { "model.json", "empty", "cannot be read" },
    };

    [Theory]
    [MemberData(nameof(Faults))]
    public void A_package_with_a_damaged_part_is_refused_with_one_line_that_names_the_file(string file, string damage, string message)
    {
        string path = Path.Combine(_copy, file);
        byte[] content = File.ReadAllBytes(path);
        if (damage == "missing") File.Delete(path);
        else File.WriteAllBytes(path, damage == "empty" ? [] : content[..(content.Length / 2)]);
        AssertRefused(file, message);
    }

    [Fact]
    public void A_calibration_of_another_model_is_refused()
    {
        File.Copy(Path.Combine(Repository.CamVidDay, "calibration.json"), Path.Combine(_copy, "calibration.json"), overwrite: true);
        AssertRefused("calibration.json", "of another package");
    }

    [Fact]
    public void A_graph_that_fits_its_digest_but_not_its_card_is_refused_by_the_engine()
    {
        string card = Path.Combine(_copy, "model.json");
        File.WriteAllText(card, File.ReadAllText(card).Replace("\"width\": 160", "\"width\": 192", StringComparison.Ordinal));
        var package = ModelPackage.Load(_copy);
        var refused = Assert.Throws<ModelPackageException>(() => new InferenceEngine(package, new InferenceOptions(), NullLogger.Instance));
        Assert.Contains("model.onnx", refused.Message, StringComparison.Ordinal);
        Assert.Contains("image", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("street-demo")]
    [InlineData("camvid-day")]
    public void A_shipped_package_loads_is_a_few_megabytes_and_its_card_is_complete(string name)
    {
        string path = Path.Combine(Repository.Root, "models", name);
        var package = ModelPackage.Load(path);
        Assert.Equal(name, package.Card.Name);
        Assert.InRange(Directory.GetFiles(path, "*", SearchOption.AllDirectories).Sum(file => new FileInfo(file).Length), 1, 12_000_000);
        Assert.Contains("train", package.Card.Training.Command, StringComparison.Ordinal);
        Assert.All(new[] { package.Card.Version, package.Card.Description, package.Card.Licence, package.Card.Network.Paper, package.Card.Training.Footage.Source, package.Card.Calibration.Source }, Assert.NotEmpty);
        Assert.True(package.Card.Training.Footage.Frames >= 300 && package.Card.Calibration.Frames == package.Calibration.Frames);
        Assert.NotEqual(package.Card.Training.Footage.Digest, package.Card.Calibration.Digest);
        Assert.Equal(package.Card.Files["decoder.onnx"], ModelPackage.DigestOf(File.ReadAllBytes(Path.Combine(path, "decoder.onnx"))));
        foreach (string preview in new[] { "reconstructions", "samples", "traversal", "error-map" }) Assert.True(File.Exists(Path.Combine(path, "preview", preview + ".png")), preview);
    }

    [Fact]
    public void A_frame_scores_the_same_alone_and_in_any_batch()
    {
        using var engine = new InferenceEngine(ModelPackage.Load(Repository.StreetDemo), new InferenceOptions(), NullLogger.Instance);
        var network = engine.Package.Card.Network;
        using var decoder = new FrameDecoder(network.Size, new FrameLimits());
        var alone = engine.CreateBatch(1);
        var batch = engine.CreateBatch(12);
        for (int i = 0; i < 12; i++) Assert.Equal(FrameError.None, decoder.Decode(Pictures.Encode(SkiaSharp.SKEncodedImageFormat.Jpeg, seed: i), batch.Pixels(i)));
        foreach (int count in new[] { 1, 2, 3, 5, 11, 12 })
        {
            batch.Count = count;
            engine.Run(batch);
            for (int i = 0; i < count; i++)
            {
                batch.Pixels(i).CopyTo(alone.Pixels(0));
                alone.Count = 1;
                engine.Run(alone);
                for (int k = 0; k < batch.Scores(i).Length; k++) Assert.Equal(alone.Scores(0)[k], batch.Scores(i)[k], 1e-3f * (1 + Math.Abs(alone.Scores(0)[k])));
            }
        }
    }

    [Fact]
    public void An_accelerator_that_was_named_and_is_missing_is_an_error_that_says_what_to_do()
    {
        var missing = Assert.Throws<AcceleratorException>(() => new InferenceEngine(ModelPackage.Load(Repository.StreetDemo), new InferenceOptions { Accelerator = Accelerator.Cuda }, NullLogger.Instance));
        Assert.Contains("-p:Accelerator=Cuda", missing.Message, StringComparison.Ordinal);
    }

    private void AssertRefused(string file, string message)
    {
        var refused = Assert.Throws<ModelPackageException>(() => ModelPackage.Load(_copy));
        Assert.Equal(Path.Combine(_copy, file), refused.File);
        Assert.Contains(message, refused.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', refused.Message);
    }
}
