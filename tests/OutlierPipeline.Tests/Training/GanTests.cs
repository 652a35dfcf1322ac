using System.Text.Json;
using OutlierPipeline.Cli;
using OutlierPipeline.Cli.Evaluation;
using OutlierPipeline.Evaluation;
using OutlierPipeline.Footage;
using OutlierPipeline.Footage.Simulation;
using OutlierPipeline.Frames;
using OutlierPipeline.Inference;
using OutlierPipeline.Models;
using OutlierPipeline.Tests.Support;
using OutlierPipeline.Training;
using OutlierPipeline.Training.Adversarial;
using OutlierPipeline.Training.Networks;
using static TorchSharp.torch;

namespace OutlierPipeline.Tests.Training;

[Collection(TorchTests.Name)]
public sealed class GanTests : IDisposable
{
    private const int Latent = 16;
    private static readonly FrameSize Size = new(32, 48);
    private readonly RenderedFootage _rendered = new();

    public void Dispose() => _rendered.Dispose();

    private string Checkpoint => Path.Combine(_rendered.Directory, "run", "checkpoint");

    [Fact]
    public void Training_makes_samples_differ_as_frames_do_and_the_graph_draws_what_TorchSharp_draws()
    {
        var footage = Drive(96);
        var generator = new PictureGenerator(Size, Latent);
        using var trainer = new GanTrainer(generator, footage, Settings(epochs: 20), Checkpoint);
        double frames = Spread([.. Enumerable.Range(0, 96).SelectMany(i => footage[i])]);
        double before = SpreadOfSamples();
        Assert.True(trainer.Run(_ => { }, TestContext.Current.CancellationToken));
        double after = SpreadOfSamples();
        Assert.True(after > 2 * before && after > 0.2 * frames && after < 2 * frames,
            $"samples deviate by {after} after training, {before} before; frames by {frames}");
        Assert.Equal(20, trainer.Losses.Count);

        float[] codes = [.. Enumerable.Range(0, 4 * Latent).Select(i => MathF.Sin(i))];
        using var decoder = Decoder(generator, trainer);
        byte[] drawn = decoder.Draw(codes);
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var ops = new TorchOps(trainer.Weights.ToDictionary(weight => weight.Key, weight =>
            tensor(weight.Value.Values, weight.Value.Shape)), CPU);
        float[] expected = generator.Draw(ops, tensor(codes, [4, Latent])).permute(0, 2, 3, 1).contiguous().data<float>().ToArray();
        // Of levels from 0 to 1, which bytes hold to half of 1/255.
        Assert.All(expected.Zip(drawn), pair => Assert.InRange(Math.Abs(pair.First - pair.Second / 255.0), 0, 0.5 / 255 + 1e-3));

        double SpreadOfSamples()
        {
            using var drawer = Decoder(generator, trainer);
            return Spread(Gallery.Sample(drawer, 64, seed: 1));
        }
    }

    /// <summary>Root mean square deviation of grey levels from their mean over the pictures.</summary>
    private static double Spread(byte[] pictures)
    {
        int count = pictures.Length / Size.Bytes;
        double[] means = [.. Enumerable.Range(0, Size.Bytes).Select(i => Enumerable.Range(0, count).Average(picture =>
            (double)pictures[picture * Size.Bytes + i]))];
        return Math.Sqrt(pictures.Select((value, i) => Math.Pow(value - means[i % Size.Bytes], 2)).Average());
    }

    [Fact]
    public void A_run_that_was_interrupted_and_goes_on_ends_as_the_uninterrupted_one()
    {
        var footage = Drive(40);
        var generator = new PictureGenerator(Size, Latent);
        using var whole = new GanTrainer(generator, footage, Settings(epochs: 2), Path.Combine(_rendered.Directory, "other", "checkpoint"));
        Assert.True(whole.Run(_ => { }, TestContext.Current.CancellationToken));
        using (var interrupted = new GanTrainer(generator, footage, Settings(epochs: 2), Checkpoint))
        {
            using var stop = new CancellationTokenSource();
            Assert.False(interrupted.Run(progress =>
            {
                if (progress.Step == 4) stop.Cancel();
            }, stop.Token));
        }
        using var resumed = new GanTrainer(generator, footage, Settings(epochs: 2), Checkpoint);
        resumed.Resume();
        Assert.True(resumed.Run(_ => { }, TestContext.Current.CancellationToken));
        Assert.Equal(Values(whole), Values(resumed));
        Assert.Equal(whole.Losses, resumed.Losses);
    }

    [Fact]
    public void A_generator_whose_pictures_are_all_alike_is_stopped_in_one_line()
    {
        // A learning rate of nearly nothing: every picture stays near the mean picture.
        using var trainer = new GanTrainer(new PictureGenerator(Size, Latent), Drive(40), Settings(epochs: 60) with
        {
            LearningRate = 1e-20
        }, Checkpoint);
        var stopped = Assert.Throws<TrainingException>(() => trainer.Run(_ => { }, TestContext.Current.CancellationToken));
        Assert.Contains("collapsed", stopped.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', stopped.Message);
    }

    [Fact]
    public async Task A_package_that_only_draws_is_read_for_drawing_and_judged_by_its_discriminator_and_refused_for_scoring_in_one_line()
    {
        var footage = Drive(40);
        var generator = new PictureGenerator(Size, Latent);
        var settings = Settings(epochs: 1);
        using var trainer = new GanTrainer(generator, footage, settings, Checkpoint);
        Assert.True(trainer.Run(_ => { }, TestContext.Current.CancellationToken));
        string directory = Path.Combine(_rendered.Directory, "models", "drawer");
        new GanPackage(generator, trainer, settings).Write(directory, new PackageBuilder.Description("1.0.0", "A test.", "none",
            "the renderer", "none", "cpu"), footage, 1, TimeSpan.Zero);
        var (card, graph) = ModelPackage.ReadDecoder(directory);
        using var decoder = new LatentDecoder(card.Network, graph);
        Assert.Equal(3 * Size.Bytes, Gallery.Sample(decoder, 3, seed: 1).Length);
        Assert.Equal(2 * 5 * Size.Bytes, Gallery.Interpolate(decoder, 2, 5, seed: 1).Length);
        var cancellation = TestContext.Current.CancellationToken;
        Assert.StartsWith("epoch,discriminator,generator\n1,", await File.ReadAllTextAsync(Path.Combine(directory, "losses.csv"),
            cancellation), StringComparison.Ordinal);
        Assert.StartsWith("<svg", await File.ReadAllTextAsync(Path.Combine(directory, "preview", "losses.svg"), cancellation),
            StringComparison.Ordinal);
        using (var discriminator = new Discriminator(directory))
        {
            float[] scores = discriminator.Score([.. footage[0], .. footage[7]]);
            using var off = no_grad();
            using var scope = NewDisposeScope();
            var ops = new TorchOps(trainer.CriticWeights.ToDictionary(weight => weight.Key, weight =>
                tensor(weight.Value.Values, weight.Value.Shape)), CPU);
            var planes = (TorchOps.Pixels(footage, [0, 7], CPU) / 255).permute(0, 3, 1, 2);
            float[] verdicts = new Critic(Size).Judge(ops, planes).Verdict.data<float>().ToArray();
            Assert.All(verdicts.Zip(scores), pair => Assert.Equal(-pair.First, pair.Second, 1e-3f));
        }
        string report = Path.Combine(_rendered.Directory, "report");
        Assert.True(DrawnJudge.Takes(directory));
        Assert.Contains("--outlier or --corruptions is needed", Assert.Single(Errors()), StringComparison.Ordinal);
        Assert.Contains("--slices does not go with a package that only draws", Assert.Single(Errors("--corruptions", "--slices", "drive")),
            StringComparison.Ordinal);
        Assert.Empty(Errors("--corruptions"));
        Assert.Equal(0, await DrawnJudge.RunAsync(new EvaluationRequest(directory, [Path.Combine(_rendered.Directory, "drive-40")],
            [("night", _rendered.Drive("night", 20, 9, Trouble.Night))], "", 0.05, null, 10, 1, "outlier evaluate"), report,
            cancellation));
        using var written = JsonDocument.Parse(await File.ReadAllTextAsync(Path.Combine(report, "report.json"), cancellation));
        var judged = written.RootElement.GetProperty("discriminator").EnumerateArray().ToList();
        Assert.Equal(1 + OutlierKinds.All.Count, judged.Count);
        Assert.Equal(("real", "night", 20), (judged[0].GetProperty("group").GetString(), judged[0].GetProperty("name").GetString(),
            judged[0].GetProperty("frames").GetInt32()));
        Assert.InRange(judged[0].GetProperty("auroc").GetDouble(), 0, 1);
        var refused = Assert.Throws<ModelPackageException>(() => ModelPackage.Load(directory));
        Assert.Contains("scores none", refused.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', refused.Message);

        string[] Errors(params string[] more) => [.. EvaluateCommand.Build().Parse(["--model", directory, "--normal", "frames", "--out",
            report, .. more]).Errors.Select(error => error.Message)];
    }

    private static TrainingSettings Settings(int epochs) => SmallTraining.Settings("gan", epochs, batch: 8) with { LearningRate = 5e-4 };

    private DecodedFootage Drive(int frames) => _rendered.Load(_rendered.Drive($"drive-{frames}", frames, 4), Size);

    private static LatentDecoder Decoder(PictureGenerator generator, GanTrainer trainer) =>
        new(Card(generator), GanPackage.WriteDecoder(generator, trainer.Weights));

    private static NetworkCard Card(PictureGenerator generator) => new()
    {
        Architecture = "gan",
        Paper = "",
        OnlyDraws = true,
        Height = generator.Size.Height,
        Width = generator.Size.Width,
        Latent = generator.Latent,
        ErrorMapHeight = 0,
        ErrorMapWidth = 0,
        Parameters = 0,
        FlopsPerFrame = 0,
        HyperParameters = new Dictionary<string, double>(),
    };

    private static float[] Values(GanTrainer trainer) =>
        [.. trainer.Weights.OrderBy(weight => weight.Key, StringComparer.Ordinal).SelectMany(weight => weight.Value.Values)];
}
