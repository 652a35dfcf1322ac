using Microsoft.Extensions.Logging.Abstractions;
using OutlierPipeline.Alerts;
using OutlierPipeline.Batching;
using OutlierPipeline.Detection;
using OutlierPipeline.Evaluation;
using OutlierPipeline.Footage;
using OutlierPipeline.Frames;
using OutlierPipeline.Inference;
using OutlierPipeline.Models;
using OutlierPipeline.Tests.Support;
using OutlierPipeline.Training;
using OutlierPipeline.Training.Features;
using OutlierPipeline.Training.Networks;

namespace OutlierPipeline.Tests.Training;

/// <summary>Causes are learned on one rendered drive and named on another.</summary>
[Collection(TorchTests.Name)]
public sealed class CauseTests : IDisposable
{
    private static readonly FrameSize Size = new(80, 160);

    /// <summary>That are corrupted.</summary>
    private const int Frames = 8;
    private readonly RenderedFootage _rendered = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => _rendered.Dispose();

    [Fact]
    public void Causes_are_named_on_a_drive_that_did_not_train_and_what_was_not_learned_is_unknown()
    {
        using var training = Train();
        var exporter = training.Finish(Cancellation).Exporter;
        training.LearnCauses(exporter, Cancellation, Frames);
        var other = Drive("other", 12, seed: 9);
        using var runner = new FeatureRunner(Backbone.ResNet18(), Size, null, training.Fill, threads: 2);
        foreach (string cause in new[] { "fog", "rain", "snow", "dark", "blur", "noise", "colour cast", "dead rows" })
        {
            var names = Named(exporter, runner, other, corruption => corruption.Cause == cause);
            Assert.True(names.Count(name => name == cause) >= 0.8 * names.Length, $"{cause}: {string.Join(", ", names)}");
        }
        // Kinds that the trainer is not shown.
        var unknown = Named(exporter, runner, other, corruption => corruption.Name is "jpeg" or "pixelate");
        Assert.True(unknown.Count(name => name == Cause.Unknown) >= 0.8 * unknown.Length, string.Join(", ", unknown));
        training.LearnCauses(exporter, Cancellation, Frames, without: "snow");
        Assert.DoesNotContain("snow", exporter.Causes!.Causes);
        var snow = Named(exporter, runner, other, corruption => corruption.Cause == "snow");
        Assert.True(snow.Count(name => name == Cause.Unknown) >= 0.8 * snow.Length, string.Join(", ", snow));
    }

    [Fact]
    public void A_package_carries_its_causes_from_the_graph_to_the_alert()
    {
        using var training = Train();
        var (exporter, crossFitted) = training.Finish(Cancellation);
        training.LearnCauses(exporter, Cancellation, Frames);
        var calibration = Drive("calibration", 60, seed: 21);
        string directory = Path.Combine(_rendered.Directory, "package");
        var builder = new PackageBuilder(Settings, exporter, null);
        var package = builder.Write(directory, new PackageBuilder.Description("1", "rendered", "MIT", "the renderer", "train", "cpu"),
            new PackageBuilder.Blocks(training.Footage, calibration, calibration.Where(_ => false)), crossFitted, null, 10,
            training.Trainer.Figures, 3, 1, TimeSpan.Zero, Cancellation);
        Assert.Contains("fog", package.Causes!.Causes);
        var half = ModelProto.Parser.ParseFrom(InferenceEngine.FrameGraph(package, Precision.Fp16)).Graph;
        Assert.Contains("profile", half.Output.Select(output => output.Name));
        using var engine = new InferenceEngine(package, new InferenceOptions { Accelerator = Accelerator.Cpu }, NullLogger.Instance);
        var drive = Drive("other", 60, seed: 9);
        using var runner = new FeatureRunner(Backbone.ResNet18(), Size, null, training.Fill, threads: 2);
        using var batch = engine.CreateBatch(4);
        float[] expected = exporter.Profiles(runner, [drive[2]])[0];
        batch.Count = 3;
        for (int slot = 0; slot < 3; slot++) drive.Read(slot, batch.WritePixels(slot));
        batch.Run();
        float[] actual = batch.Profile(2).ToArray();
        Assert.Equal(package.Causes.Profile, actual.Length);
        for (int i = 0; i < expected.Length; i++) Assert.Equal(expected[i], actual[i], 2e-3 * (1 + Math.Abs(expected[i])));

        var opened = Play(package, batch, drive, "fog").First(alert => alert.Type == AlertType.Opened);
        Assert.Equal("fog", opened.Cause?.Name);
        Assert.InRange(opened.Cause!.Value.Probability, 0.5, 1);
        Assert.StartsWith("Picture looks like fog, ", opened.Reason, StringComparison.Ordinal);
        AssertRefusals(package, directory);
    }

    /// <summary>Causes that do not fit the graph, and a graph without the output, are refused by name.</summary>
    private static void AssertRefusals(ModelPackage package, string directory)
    {
        var files = ModelPackageWriter.ReadAll(package);
        var causes = package.Causes!;
        float[] longer = [.. Enumerable.Range(0, causes.Discriminants).SelectMany(p =>
            causes.Projection.Skip(p * causes.Profile).Take(causes.Profile).Append(0))];
        files[CauseModel.FileName] = (causes with { Projection = longer }).ToJson();
        AssertRefused(files, $"output profile is Float [-1, {causes.Profile}], causes.json asks for Float [-1, {causes.Profile + 1}]");
        var graph = OnnxGraph.Parse(files["model.onnx"]);
        graph.Keep(["scores", "latent", "error_map", "reconstruction"]);
        files[CauseModel.FileName] = causes.ToJson();
        files["model.onnx"] = graph.ToArray();
        AssertRefused(files, "has no output profile, causes.json asks for it");
        files[CauseModel.FileName] = "{}"u8.ToArray();
        Assert.Contains(CauseModel.FileName, Assert.Throws<ModelPackageException>(() =>
            ModelPackageWriter.Write(directory, package.Card, files)).Message, StringComparison.Ordinal);

        void AssertRefused(Dictionary<string, byte[]> changed, string fault)
        {
            var other = ModelPackageWriter.Write(directory, package.Card, changed);
            var refused = Assert.Throws<ModelPackageException>(() =>
                new InferenceEngine(other, new InferenceOptions { Accelerator = Accelerator.Cpu }, NullLogger.Instance));
            Assert.Contains(fault, refused.Message, StringComparison.Ordinal);
        }
    }

    /// <summary>What the detector says of a drive that becomes strange in its middle.</summary>
    private static List<AlertStep> Play(ModelPackage package, BatchMemory batch, DecodedFootage drive, string corruption)
    {
        var detector = new CameraDetector("car-1", package, new DetectionOptions());
        var alerts = new List<AlertStep>();
        for (int i = 0; i < drive.Count; i++)
        {
            batch.Count = 1;
            if (i < drive.Count / 2) drive.Read(i, batch.WritePixels(0));
            else OutlierKinds.Draw(corruption, drive, i, batch.WritePixels(0), severity: 4, seed: 5);
            batch.Run();
            detector.Observe(new FrameObservation
            {
                Frame = new FrameRef("camera.frames", 0, i, 1_790_000_000_000_000_000 + i * 100_000_000L),
                Scores = batch.Scores(0),
                ErrorMap = batch.ErrorMap(0),
                Profile = batch.Profile(0),
                Pixels = batch.Pixels(0),
            }, alerts);
        }
        return alerts;
    }

    /// <summary>Names of the frames of a drive under some corruptions, against the drive's own normal frames.</summary>
    private static string[] Named(FeatureExporter exporter, FeatureRunner runner, DecodedFootage drive, Func<Corruption, bool> wanted)
    {
        var causes = exporter.Causes!;
        float[] normal = new float[causes.Discriminants];
        float[] place = new float[causes.Discriminants];
        foreach (float[] profile in exporter.Profiles(runner, Enumerable.Range(0, drive.Count).Select(i => drive[i])))
        {
            causes.Project(profile, place);
            for (int p = 0; p < place.Length; p++) normal[p] += place[p] / drive.Count;
        }
        var pictures = CorruptionSuite.All.Where(wanted).SelectMany(corruption => Enumerable.Range(0, drive.Count).Select(i =>
        {
            byte[] picture = drive[i];
            corruption.Apply(picture, Size, severity: 3 + i % 3, seed: 77 + i, i);
            return picture;
        }));
        return [.. exporter.Profiles(runner, pictures).Select(profile =>
        {
            causes.Project(profile, place);
            return CauseClassifier.Name(causes, place, normal).Name;
        })];
    }

    private static TrainingSettings Settings => new()
    {
        Architecture = Architecture.Named("feature-vae"),
        Epochs = 3,
        Batch = 512,
        Seed = 3,
        Beta = 1,
        LearningRate = 2e-3,
        Patience = 3,
    };

    private FeatureTraining Train()
    {
        TorchSharp.torch.set_num_threads(2);
        var training = new FeatureTraining(Backbone.ResNet18(), Drive("drive", 60, seed: 4), null, Settings, 16, 2, 0.1,
            Path.Combine(_rendered.Directory, "run", "checkpoint"), Cancellation)
        { PixelSteps = 20 };
        Assert.True(training.Trainer.Run(_ => { }, Cancellation));
        return training;
    }

    private DecodedFootage Drive(string name, int frames, int seed) => _rendered.Load(_rendered.Drive(name, frames, seed), Size);
}
