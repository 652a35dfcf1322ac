using Google.Protobuf;
using Microsoft.Extensions.Logging.Abstractions;
using OutlierPipeline.Frames;
using OutlierPipeline.Inference;
using OutlierPipeline.Models;
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

    [Theory]
    [InlineData("\"localScores\": [\"local\"", "\"localScores\": [\"elsewhere\"", "localScores names elsewhere")]
    [InlineData("\"localScores\":", "\"other\":", "localScores is missing")]
    [InlineData("\"lastWeight\": \"draw.weight\"", "\"lastWeight\": \"\"", "network.lastWeight is missing")]
    [InlineData("\"cellSide\": 8", "\"cellSide\": 16", "network.cellSide is 16")]
    [InlineData("\"errorMapWidth\": 20", "\"errorMapWidth\": 21", "network.errorMapHeight and errorMapWidth are 12 and 21")]
    [InlineData("\"lastWeight\":", "\"dimensionNames\": {\"64\": \"sun\"}, \"lastWeight\":", "network.dimensionNames calls 64")]
    [InlineData("\"lastWeight\":", "\"dimensionNames\": {\"3\": \"\"}, \"lastWeight\":", "network.dimensionNames calls 3")]
    [InlineData("\"lastWeight\":", "\"onlyDraws\": true, \"lastWeight\":", "network.onlyDraws is true, but scores are named")]
    [InlineData("\"schema\": 2", "\"schema\": 3", "schema is 3")]
    public void What_trainer_and_service_agree_on_stands_in_the_card_and_a_fault_names_its_key(string said, string instead, string message)
    {
        string card = Path.Combine(_copy, "model.json");
        string whole = System.Text.Encoding.UTF8.GetString(ModelPackage.Load(_copy).Card.ToJson())
            .Replace("[\n    \"local\"\n  ]", "[\"local\"]", StringComparison.Ordinal);
        File.WriteAllText(card, whole);
        Assert.Contains(said, whole, StringComparison.Ordinal);
        _ = ModelPackage.Load(_copy);
        File.WriteAllText(card, whole.Replace(said, instead, StringComparison.Ordinal));
        AssertRefused("model.json", message);
    }

    [Fact]
    public void A_card_of_schema_1_means_what_that_schema_agreed_on()
    {
        string old = Path.Combine(Repository.Root, "tests", "OutlierPipeline.IntegrationTests", "Fixtures", "package", "model.json");
        string json = File.ReadAllText(old);
        Assert.Contains("\"schema\": 1,", json, StringComparison.Ordinal);
        var card = System.Text.Json.JsonSerializer.Deserialize<ModelCard>(json, ModelCard.Json)!.Checked();
        Assert.Equal(["local", "region"], card.LocalScores);
        Assert.Equal(("draw.weight", 8), (card.Network.LastWeight, card.Network.CellSide));
    }

    [Fact]
    public void A_last_weight_that_the_graph_does_not_have_is_named()
    {
        var package = ModelPackage.Load(_copy);
        var card = package.Card with { Network = package.Card.Network with { LastWeight = "elsewhere" } };
        var other = ModelPackageWriter.Write(_copy, card, ModelPackageWriter.ReadAll(package));
        var refused = Assert.Throws<ModelPackageException>(() => InferenceEngine.FrameGraph(other, Precision.Fp16));
        Assert.Contains("network.lastWeight names elsewhere", refused.Message, StringComparison.Ordinal);
        Assert.Equal(package.Default.Digest, other.Default.Digest);
    }

    /// <summary>What <c>fuzz --target package</c> found.</summary>
    [Fact]
    public void A_graph_with_a_name_that_is_no_UTF8_or_holds_a_zero_is_refused_or_read()
    {
        var package = ModelPackage.Load(_copy);
        var files = ModelPackageWriter.ReadAll(package);
        var model = ModelProto.Parser.ParseFrom(files["model.onnx"]);
        model.MetadataProps.Insert(0, new StringStringEntryProto { Key = "no\0te", Value = "1" });
        files["model.onnx"] = model.ToByteArray();
        using (var engine = Engine(ModelPackageWriter.Write(_copy, package.Card, files))) Assert.Equal(Accelerator.Cpu, engine.Accelerator);
        model.MetadataProps[0].Key = "nnnn";
        byte[] graph = model.ToByteArray();
        graph[graph.AsSpan().IndexOf("nnnn"u8)] = 0xff;
        files["model.onnx"] = graph;
        var refused = Assert.Throws<ModelPackageException>(() => Engine(ModelPackageWriter.Write(_copy, package.Card, files)));
        Assert.Contains("model.onnx", refused.Message, StringComparison.Ordinal);

        static InferenceEngine Engine(ModelPackage package) =>
            new(package, new InferenceOptions { Accelerator = Accelerator.Cpu }, NullLogger.Instance);
    }

    [Fact]
    public void A_graph_that_loads_and_does_not_run_is_refused()
    {
        var package = ModelPackage.Load(_copy);
        var files = ModelPackageWriter.ReadAll(package);
        var model = ModelProto.Parser.ParseFrom(files["model.onnx"]);
        // A batch has as many masks as frames.
        model.Graph.Input.Single(input => input.Name == "mask").Type.TensorType.Shape.Dim[0] =
            new TensorShapeProto.Types.Dimension { DimValue = 1 };
        var size = package.Card.Network.Size;
        files["mask.png"] = new FrameMask(size, [.. Enumerable.Repeat((byte)1, size.Height * size.Width)]).ToPng();
        files["model.onnx"] = model.ToByteArray();
        using var engine = new InferenceEngine(ModelPackageWriter.Write(_copy, package.Card with { Mask = "mask.png" }, files),
            new InferenceOptions { Accelerator = Accelerator.Cpu }, NullLogger.Instance);
        var refused = Assert.Throws<ModelPackageException>(() => engine.CreateBatch(4));
        Assert.Contains("model.onnx: ONNX Runtime cannot run it", refused.Message, StringComparison.Ordinal);
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
        File.WriteAllText(card, File.ReadAllText(card).Replace("\"width\": 160", "\"width\": 192", StringComparison.Ordinal)
            .Replace("\"errorMapWidth\": 20", "\"errorMapWidth\": 24", StringComparison.Ordinal));
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
        Assert.All(new[] { package.Card.Version, package.Card.Description, package.Card.Licence, package.Card.Network.Paper,
            package.Card.Training.Footage.Source, package.Card.Calibration.Source }, Assert.NotEmpty);
        Assert.True(package.Card.Network is { Parameters: > 0, FlopsPerFrame: > 0 }
            && package.Card.Network.HyperParameters.Keys.Order().SequenceEqual(["batch", "beta", "freeBits", "learningRate"]));
        Assert.All(new[] { package.Card.Training.Footage.Digest, package.Card.Calibration.Digest }, digest =>
            Assert.Matches("^sha256:[0-9a-f]{64}$", digest));
        Assert.All(new[] { "trainingMeanSquaredError", "validationMeanSquaredError", "trainingKl", "validationKl",
            "trainingFramesPerSecond", "smallestPValue" }, figure => Assert.Contains(figure, package.Card.Quality.Keys));
        Assert.Contains($"--seed {package.Card.Training.Seed}", package.Card.Training.Command, StringComparison.Ordinal);
        Assert.Contains($"--out models/{name}", package.Card.Training.Command, StringComparison.Ordinal);
        // A bootstrap's level ranks the frames that trained too, by networks that had not seen them.
        int ranked = package.Card.Calibration.Frames
            + (package.Default.Calibration.IsBootstrap ? package.Card.Training.Footage.Frames : 0);
        Assert.True(package.Card.Training.Footage.Frames >= 300 && ranked == package.Default.Calibration.Frames);
        Assert.NotEqual(package.Card.Training.Footage.Digest, package.Card.Calibration.Digest);
        Assert.Equal(package.Card.Files["decoder.onnx"], ModelPackage.DigestOf(File.ReadAllBytes(Path.Combine(path, "decoder.onnx"))));
        Assert.Equal(Math.Min(package.Card.Calibration.Frames, LatentMap.MaxPoints), package.Default.Calibration.LatentMap!.Points.Length);
        foreach (string preview in new[] { "reconstructions", "samples", "traversal", "error-map" })
            Assert.True(File.Exists(Path.Combine(path, "preview", preview + ".png")), preview);
    }

    [Fact]
    public void A_frame_scores_the_same_alone_and_in_any_batch()
    {
        using var engine = new InferenceEngine(ModelPackage.Load(Repository.StreetDemo), new InferenceOptions(), NullLogger.Instance);
        var network = engine.Package.Card.Network;
        using var decoder = new FrameDecoder(network.Size, new FrameLimits());
        var alone = engine.CreateBatch(1);
        var batch = engine.CreateBatch(12);
        for (int i = 0; i < 12; i++)
            Assert.Equal(FrameError.None, batch.DecodeHere(i, Pictures.Encode(SkiaSharp.SKEncodedImageFormat.Jpeg, seed: i), decoder));
        foreach (int count in new[] { 1, 2, 3, 5, 11, 12 })
        {
            batch.Count = count;
            batch.Run();
            for (int i = 0; i < count; i++)
            {
                batch.Pixels(i).CopyTo(alone.WritePixels(0));
                alone.Count = 1;
                alone.Run();
                for (int k = 0; k < batch.Scores(i).Length; k++)
                    Assert.Equal(alone.Scores(0)[k], batch.Scores(i)[k], 1e-3f * (1 + Math.Abs(alone.Scores(0)[k])));
            }
        }
    }

    [Fact]
    public void An_accelerator_that_was_named_and_is_missing_is_an_error_that_says_what_to_do()
    {
        var missing = Assert.Throws<AcceleratorException>(() =>
            new InferenceEngine(ModelPackage.Load(Repository.StreetDemo), new InferenceOptions { Accelerator = Accelerator.Cuda },
            NullLogger.Instance));
        Assert.Contains("-p:Accelerator=Cuda", missing.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_camera_with_a_calibration_and_mask_of_its_own_leaves_every_other_as_it_was()
    {
        var before = ModelPackage.Load(_copy);
        var size = before.Card.Network.Size;
        byte[] pixels = new byte[size.Height * size.Width];
        Array.Fill(pixels, (byte)1, 0, pixels.Length / 2);
        var random = new Random(1);
        var own = Calibration.Fit(before.Card.Scores, before.Default.Calibration.Combines,
            [.. Enumerable.Range(0, 30).Select(_ => before.Card.Scores.Select(_ => random.NextSingle()).ToArray())]);
        var files = ModelPackageWriter.ReadAll(before);
        files["cameras/one.json"] = own.ToJson();
        files["cameras/one.mask.png"] = new FrameMask(size, pixels).ToPng();
        var card = before.Card with
        {
            Cameras = new Dictionary<string, CameraCard>
            {
                ["car-1/front"] =
            new() { Calibration = "cameras/one.json", Mask = "cameras/one.mask.png", Footage = before.Card.Calibration }
            }
        };
        var after = ModelPackageWriter.Write(_copy, card, files);
        Assert.True(after.HasMasks);
        Assert.Equal(before.Default.Digest, after.For("car-2/front").Digest);
        Assert.Null(after.For("car-2/front").Mask);
        Assert.NotEqual(before.Default.Digest, after.For("car-1/front").Digest);
        Assert.Equal(30, after.For("car-1/front").Calibration.Frames);
        Assert.True(after.For("car-1/front").Mask!.Pixels.SequenceEqual(pixels));
        // Each slot of a batch has its own mask.
        using var masked = new InferenceEngine(after, new InferenceOptions(), NullLogger.Instance);
        using var open = new InferenceEngine(before, new InferenceOptions(), NullLogger.Instance);
        using var batch = masked.CreateBatch(2);
        using var single = open.CreateBatch(1);
        random.NextBytes(batch.WritePixels(0));
        batch.Pixels(0).CopyTo(batch.WritePixels(1));
        batch.Pixels(0).CopyTo(single.WritePixels(0));
        batch.SetMask(0, after.For("car-1/front").Mask);
        batch.SetMask(1, after.For("car-2/front").Mask);
        batch.Count = 2;
        single.Count = 1;
        batch.Run();
        single.Run();
        for (int k = 0; k < card.Scores.Count; k++)
            Assert.Equal(single.Scores(0)[k], batch.Scores(1)[k], 1e-3f * (1 + Math.Abs(single.Scores(0)[k])));
        Assert.All(batch.ErrorMap(0)[(batch.ErrorMap(0).Length / 2)..].ToArray(), value => Assert.Equal(0, value));
        File.Delete(Path.Combine(_copy, "cameras", "one.json"));
        AssertRefused(Path.Combine("cameras", "one.json"), "is missing");
    }

    [Fact]
    public void A_package_that_does_not_load_is_not_put_in_the_place_of_one_that_does()
    {
        var package = ModelPackage.Load(_copy);
        var files = ModelPackageWriter.ReadAll(package);
        files["calibration.json"] = "{}"u8.ToArray();
        Assert.Throws<ModelPackageException>(() => ModelPackageWriter.Write(_copy, package.Card, files));
        Assert.Equal(package.Digest, ModelPackage.Load(_copy).Digest);
        Assert.False(Directory.Exists(_copy + ".writing") || Directory.Exists(_copy + ".old"));
    }

    [Fact]
    public void A_package_without_a_latent_map_loads()
    {
        var package = ModelPackage.Load(_copy);
        WriteCalibration((package.Default.Calibration with { LatentMap = null }).ToJson());
        Assert.DoesNotContain("latentMap", File.ReadAllText(Path.Combine(_copy, "calibration.json")), StringComparison.Ordinal);
        Assert.Null(ModelPackage.Load(_copy).Default.Calibration.LatentMap);
    }

    [Fact]
    public void A_latent_map_of_codes_of_another_length_is_refused()
    {
        var package = ModelPackage.Load(_copy);
        WriteCalibration((package.Default.Calibration with { LatentMap = LatentMap.Fit([[1, 2, 3], [2, 3, 5]]) }).ToJson());
        AssertRefused("calibration.json", "latentMap is of codes of length 3, those of model.json have 32");
    }

    [Fact]
    public void A_latent_map_with_a_number_that_is_not_finite_is_refused()
    {
        var package = ModelPackage.Load(_copy);
        var map = LatentMap.Fit([new float[32], [.. Enumerable.Range(0, 32).Select(i => i == 0 ? 12345f : 0)]]);
        string json = System.Text.Encoding.UTF8.GetString((package.Default.Calibration with { LatentMap = map }).ToJson());
        WriteCalibration(System.Text.Encoding.UTF8.GetBytes(json.Replace("[6172.5,0]", "[1e99,0]", StringComparison.Ordinal)));
        AssertRefused("calibration.json", "latentMap: a number is not finite");
    }

    /// <summary>A calibration that the card describes.</summary>
    private void WriteCalibration(byte[] json)
    {
        string path = Path.Combine(_copy, "model.json");
        string card = File.ReadAllText(path);
        File.WriteAllText(path, card.Replace(ModelPackage.Load(_copy).Card.Files["calibration.json"], ModelPackage.DigestOf(json),
            StringComparison.Ordinal));
        File.WriteAllBytes(Path.Combine(_copy, "calibration.json"), json);
    }

    private void AssertRefused(string file, string message)
    {
        var refused = Assert.Throws<ModelPackageException>(() => ModelPackage.Load(_copy));
        Assert.Equal(Path.Combine(_copy, file), refused.File);
        Assert.Contains(message, refused.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', refused.Message);
    }
}
