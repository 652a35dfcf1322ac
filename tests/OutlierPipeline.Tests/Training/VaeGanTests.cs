using System.Xml.Linq;
using Microsoft.ML.OnnxRuntime;
using OutlierPipeline.Evaluation;
using OutlierPipeline.Footage;
using OutlierPipeline.Frames;
using OutlierPipeline.Models;
using OutlierPipeline.Tests.Support;
using OutlierPipeline.Training;
using OutlierPipeline.Training.Adversarial;
using OutlierPipeline.Training.Networks;

namespace OutlierPipeline.Tests.Training;

[Collection(TorchTests.Name)]
public sealed class VaeGanTests : IDisposable
{
    private const int Latent = 16;
    private const int Epochs = 20;

    /// <summary>At least so many times as sharp as the plain VAE's are its drawings.</summary>
    private const double Margin = 1.2;

    private const int ShortEpochs = 8;

    /// <summary>The error after so many epochs, of that before, at most.</summary>
    private const double Nearer = 0.95;

    private static readonly FrameSize Size = new(32, 48);
    private readonly RenderedFootage _rendered = new();

    public void Dispose() => _rendered.Dispose();

    private string Checkpoint => Path.Combine(_rendered.Directory, "run", "checkpoint");

    [Fact]
    public void Training_brings_what_it_redraws_nearer_to_frames_and_the_graph_computes_what_TorchSharp_computes()
    {
        var footage = Drive(50);
        using var trainer = Begin(footage, ShortEpochs);
        double before = trainer.Judge().TrainingError;
        Assert.True(trainer.Run(_ => { }, TestContext.Current.CancellationToken));
        double after = trainer.Judge().TrainingError;
        Assert.True(after < Nearer * before, $"error {after}, before any step {before}");

        var exporter = Exporter(trainer, null);
        exporter.FitScores(footage);
        using var session = new InferenceSession(exporter.WriteModel("test", "1", "the renderer"));
        var expected = exporter.Reference(footage, 5, 7);
        var actual = Run(session, footage, 5, 7);
        AssertClose(expected.Scores, actual.Scores);
        AssertClose(expected.Latent, actual.Latent);
    }

    [Fact]
    public void It_redraws_frames_more_sharply_than_the_plain_VAE_and_the_graph_computes_what_TorchSharp_computes()
    {
        Assert.SkipUnless(Environment.GetEnvironmentVariable("OUTLIER_TESTS_ALL") == "1", "takes long: ./test.sh --all runs it");
        TorchSharp.torch.set_num_threads(2);
        var footage = Drive(100);
        var parts = footage.SplitByTime(0.9, 0.1);
        using var trainer = Begin(footage, Epochs);
        Assert.True(trainer.Run(_ => { }, TestContext.Current.CancellationToken));
        Assert.Equal(Epochs, trainer.Losses.Count);
        var figures = trainer.Judge();
        Assert.InRange(figures.TrainingKl, 1, 1000);

        var exporter = Exporter(trainer, null);
        exporter.FitScores(parts[0]);
        Assert.Equal("discriminator", exporter.Scores[^1].Name);
        using var session = new InferenceSession(exporter.WriteModel("test", "1", "the renderer"));
        var expected = exporter.Reference(footage, 5, 7);
        var actual = Run(session, footage, 5, 7);
        AssertClose(expected.Scores, actual.Scores);
        AssertClose(expected.Latent, actual.Latent);

        var settings = SmallTraining.Settings("vae", Epochs, batch: 8) with { LearningRate = 5e-4 };
        var network = new PatchNetwork(Size, Latent, isVariational: true);
        using var plain = new Trainer(network, parts[0], parts[1], null, settings, Path.Combine(_rendered.Directory, "plain", "run"));
        Assert.True(plain.Run(_ => { }, TestContext.Current.CancellationToken));
        var other = new ModelExporter(network, plain.Weights);
        other.FitScores(parts[0]);
        using var compared = new InferenceSession(other.WriteModel("test", "1", "the renderer"));
        double frames = Sharpness.Of([.. Enumerable.Range(0, 40).SelectMany(i => footage[i])], Size);
        double ours = Sharpness.Of(Run(session, footage, 0, 40).Redrawn, Size);
        double theirs = Sharpness.Of(Run(compared, footage, 0, 40).Redrawn, Size);
        Assert.True(ours > Margin * theirs && ours < 2 * frames, $"sharpness {ours}, of the plain VAE's {theirs}, of frames {frames}; " +
            $"error {figures.TrainingError}, of the plain VAE's {plain.Figures.TrainingError}");
    }

    [Fact]
    public void A_run_that_was_interrupted_and_goes_on_ends_as_the_uninterrupted_one()
    {
        var footage = Drive(50);
        using var whole = Begin(footage, 2);
        Assert.True(whole.Run(_ => { }, TestContext.Current.CancellationToken));
        using (var interrupted = Begin(footage, 2))
        {
            using var stop = new CancellationTokenSource();
            Assert.False(interrupted.Run(progress =>
            {
                if (progress.Step == 5) stop.Cancel();
            }, stop.Token));
        }
        using var resumed = Begin(footage, 2);
        resumed.Resume();
        Assert.True(resumed.Run(_ => { }, TestContext.Current.CancellationToken));
        Assert.Equal(Values(whole), Values(resumed));
        Assert.Equal(whole.Losses, resumed.Losses);
    }

    [Fact]
    public void What_the_mask_leaves_out_moves_no_score()
    {
        var footage = Drive(50);
        var mask = SmallTraining.LowerHalf(Size);
        using var trainer = Begin(footage, 1, mask);
        Assert.True(trainer.Run(_ => { }, TestContext.Current.CancellationToken));
        var exporter = Exporter(trainer, mask);
        exporter.FitScores(footage);
        using var session = new InferenceSession(exporter.WriteModel("test", "1", "the renderer"));
        byte[] frame = footage[3];
        byte[] painted = [.. frame];
        new Random(1).NextBytes(painted.AsSpan(0, painted.Length / 2));
        AssertClose(Run(session, frame, 1, mask).Scores, Run(session, painted, 1, mask).Scores);
    }

    [Fact]
    public void Both_losses_are_drawn_a_point_an_epoch()
    {
        (double, double)[] losses = [(1.4, 0.7), (1.1, 1.2), (0.9, 1.6)];
        string[] lines = System.Text.Encoding.UTF8.GetString(LossReport.ToCsv(losses)).TrimEnd().Split('\n');
        Assert.Equal(["epoch,discriminator,generator", "1,1.4000,0.7000", "2,1.1000,1.2000", "3,0.9000,1.6000"], lines);
        var drawn = Points(losses);
        Assert.Equal([3, 3], drawn.Select(line => line.Length));
        // Up is less: the discriminator's falls, the generator's rises, and the highest is the generator's last.
        Assert.Equal(drawn[0].Select(point => point.Y).Order(), drawn[0].Select(point => point.Y));
        Assert.Equal(drawn[1].Select(point => point.Y).OrderDescending(), drawn[1].Select(point => point.Y));
        Assert.True(drawn[1][2].Y < drawn[0][0].Y);
        Assert.Single(Points([(1, 1)])[0]);

        static (double X, double Y)[][] Points((double, double)[] losses)
        {
            var svg = XElement.Parse(System.Text.Encoding.UTF8.GetString(LossReport.ToSvg(losses)));
            return [.. svg.Elements().Where(element => element.Name.LocalName == "polyline").Select(line =>
                line.Attribute("points")!.Value.Split(' ').Select(point => point.Split(',')).Select(pair => (Number(pair[0]),
                Number(pair[1]))).ToArray())];
        }

        static double Number(string text) => double.Parse(text, System.Globalization.CultureInfo.InvariantCulture);
    }

    private VaeGanTrainer Begin(DecodedFootage footage, int epochs, FrameMask? mask = null)
    {
        var parts = footage.SplitByTime(0.9, 0.1);
        return new VaeGanTrainer(new PatchNetwork(Size, Latent, isVariational: true), parts[0], parts[1], mask,
            SmallTraining.Settings("vae-gan", epochs, batch: 8) with { LearningRate = 5e-4 }, Checkpoint);
    }

    private static ModelExporter Exporter(VaeGanTrainer trainer, FrameMask? mask) =>
        new(new PatchNetwork(Size, Latent, isVariational: true), trainer.AllWeights, mask, new Critic(Size));

    private DecodedFootage Drive(int frames) => _rendered.Load(_rendered.Drive($"drive-{frames}", frames, 4), Size);

    private static float[] Values(VaeGanTrainer trainer) =>
        [.. trainer.AllWeights.OrderBy(weight => weight.Key, StringComparer.Ordinal).SelectMany(weight => weight.Value.Values)];

    private static (float[] Scores, float[] Latent, byte[] Redrawn) Run(InferenceSession session, DecodedFootage footage, int first,
        int count) => Run(session, [.. Enumerable.Range(first, count).SelectMany(i => footage[i])], count, null);

    private static (float[] Scores, float[] Latent, byte[] Redrawn) Run(InferenceSession session, byte[] frames, int count, FrameMask? mask)
    {
        using var options = new RunOptions();
        using var image = OrtValue.CreateTensorValueFromMemory(frames, [count, Size.Height, Size.Width, 3]);
        using var region = OrtValue.CreateTensorValueFromMemory(mask is null ? [.. Enumerable.Repeat((byte)1, Size.Height * Size.Width)]
            : mask.Pixels.ToArray(), [1, Size.Height, Size.Width]);
        using var outputs = session.Run(options, ["image", "mask"], [image, region], ["scores", "latent", "reconstruction"]);
        return (outputs[0].GetTensorDataAsSpan<float>().ToArray(), outputs[1].GetTensorDataAsSpan<float>().ToArray(),
            outputs[2].GetTensorDataAsSpan<byte>().ToArray());
    }

    private static void AssertClose(float[] expected, float[] actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        Assert.All(expected.Zip(actual), pair => Assert.InRange(Math.Abs(pair.First - pair.Second), 0, 1e-3 * (1 + Math.Abs(pair.First))));
    }
}
