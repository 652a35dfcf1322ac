using System.Text.Json;
using OutlierPipeline.Alerts;
using OutlierPipeline.Detection;
using OutlierPipeline.Models;
using OutlierPipeline.Tests.Support;

namespace OutlierPipeline.Tests.Detection;

/// <summary>Along what strange frames are unusual, by where the calibration frames' codes lie.</summary>
public sealed class CodeWatchTests : IDisposable
{
    private static readonly string[] Scores = ["latent", "local"];
    private readonly string _directory = Directory.CreateTempSubdirectory("outlier-test-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public void Mean_and_deviation_of_each_dimension_are_measured_and_one_that_hardly_moves_does_not_count_as_still()
    {
        float[][] codes = [.. Enumerable.Range(0, 100).Select(i => new[] { i % 2 == 0 ? 1f : 3f, i % 2 == 0 ? 5f : 5.0001f })];
        var code = CodeCalibration.Fit(Scores, codes)!;
        Assert.Equal("latent", code.Score);
        Assert.Equal([2f, 5f], code.Mean.Select(mean => MathF.Round(mean, 3)));
        Assert.Equal([1f, 0.1f], code.Deviation);
        Assert.Equal("codes", CodeCalibration.Fit(["residual", "codes"], codes)!.Score);
        Assert.Null(CodeCalibration.Fit(["bands", "local"], codes));
        Assert.Null(CodeCalibration.Fit(Scores, [[1, 2], [1, 2]]));
        Assert.Throws<ArgumentException>(() => CodeCalibration.Fit(Scores, []));
        Assert.Throws<ArgumentException>(() => CodeCalibration.Fit(Scores, [[1, float.NaN]]));
    }

    [Fact]
    public void It_is_kept_with_the_calibration_and_refused_where_it_does_not_fit()
    {
        var code = new CodeCalibration { Score = "latent", Mean = [0.5f, -1], Deviation = [1, 2] };
        var calibration = Calibration() with { Code = code };
        var read = Models.Calibration.Parse(calibration.ToJson()).Code!;
        Assert.Equal((code.Score, code.Mean, code.Deviation), (read.Score, read.Mean, read.Deviation), (a, b) =>
            a.Score == b.Score && a.Mean.SequenceEqual(b.Mean) && a.Deviation.SequenceEqual(b.Deviation));
        Assert.Null(Models.Calibration.Parse(Calibration().ToJson()).Code);
        AssertRefused(code with { Score = "kl" }, "score is kl, which is none of the scores");
        AssertRefused(code with { Deviation = [1] }, "equally long, they have 2 and 1 entries");
        AssertRefused(code with { Deviation = [1, 0] }, "a deviation not positive");

        void AssertRefused(CodeCalibration wrong, string message) => Assert.Contains(message, Assert.Throws<JsonException>(() =>
            Models.Calibration.Parse((calibration with { Code = wrong }).ToJson())).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_three_largest_of_three_deviations_or_more_are_named_where_the_density_is_strange()
    {
        var watch = Watch();
        Assert.Empty(watch.Now());
        watch.Add([6, -3, 2.9f, 40, -8], [2, 0], isStrange: true, isQuiet: false);
        Assert.Equal(["dimension 3, 40 σ", "dimension 4, 8 σ", "sun height, 6 σ"], watch.Now().Select(one => one.ToString()));
        Assert.Equal(-8, watch.Now()[1].Sigma);
        watch.Forget();
        Assert.Empty(watch.Now());
        // As far off, but the density of the whole code is within its normal spread.
        watch.Add([6, -3, 2.9f, 40, -8], [0.9f, 9], isStrange: true, isQuiet: false);
        Assert.Empty(watch.Now());
    }

    [Fact]
    public void The_last_strange_frames_count_and_their_mean_is_what_is_named()
    {
        var watch = Watch();
        watch.Add([0, 50, 0, 0, 0], [9, 0], isStrange: false, isQuiet: false);
        Assert.Empty(watch.Now());
        watch.Add([3, 0, 0, 0, 0], [5, 0], isStrange: true, isQuiet: false);
        watch.Add([9, 0, 0, 0, 0], [5, 0], isStrange: true, isQuiet: false);
        Assert.Equal(6, Assert.Single(watch.Now()).Sigma, 1e-6);
        watch.Add([], [5, 0], isStrange: true, isQuiet: false);
        Assert.Equal(6, Assert.Single(watch.Now()).Sigma, 1e-6);
        watch.Add([0, 0, 0, 0, 0], [0, 0], isStrange: false, isQuiet: true);
        Assert.Empty(watch.Now());
    }

    [Fact]
    public void Nothing_is_allocated_for_a_frame()
    {
        var watch = Watch();
        float[] latent = [1, 2, 3, 4, 5];
        float[] scores = [1, 2];
        watch.Add(latent, scores, isStrange: true, isQuiet: false);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 1000; i++) watch.Add(latent, scores, i % 2 == 0, isQuiet: i % 3 == 0);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    [Fact]
    public void An_incident_says_along_what_when_it_opens_and_one_of_a_package_without_the_figures_says_nothing()
    {
        var package = Package(isKnown: true);
        var alerts = Play(package);
        Assert.Equal([AlertType.Opened, AlertType.Escalated, AlertType.Closed], alerts.Select(alert => alert.Type));
        Assert.Equal(["sun height", "sun height", null], alerts.Select(alert => alert.Along.Count > 0 ? alert.Along.Single().Name : null));
        Assert.Equal(-6, alerts[0].Along[0].Sigma, 1e-3);
        Assert.EndsWith(". Unusual along: sun height, 6 σ", alerts[0].Reason, StringComparison.Ordinal);
        var silent = Play(Package(isKnown: false));
        Assert.Equal(3, silent.Count);
        Assert.All(silent, alert => Assert.Empty(alert.Along));
        Assert.DoesNotContain("Unusual", silent[0].Reason, StringComparison.Ordinal);
    }

    /// <summary>A shipped package whose third dimension has a name, without a training.</summary>
    private ModelPackage Package(bool isKnown)
    {
        var demo = ModelPackage.Load(Repository.StreetDemo);
        int length = demo.Card.Network.Latent;
        var files = ModelPackageWriter.ReadAll(demo);
        var code = new CodeCalibration { Score = "latent", Mean = new float[length], Deviation = [.. Enumerable.Repeat(0.5f, length)] };
        files["calibration.json"] = (demo.Default.Calibration with { Code = isKnown ? code : null }).ToJson();
        var network = demo.Card.Network with { DimensionNames = new Dictionary<int, string> { [2] = "sun height" } };
        string directory = Path.Combine(_directory, isKnown ? "known" : "silent");
        return ModelPackageWriter.Write(directory, demo.Card with { Network = network }, files);
    }

    private static List<AlertStep> Play(ModelPackage package)
    {
        var calibration = package.Default.Calibration;
        var detector = new CameraDetector("car-1", package, new DetectionOptions());
        var alerts = new List<AlertStep>();
        byte[] pixels = new byte[192];
        for (int i = 0; i < 330; i++)
        {
            bool isStrange = i is >= 30 and < 130;
            float[] latent = new float[package.Card.Network.Latent];
            if (isStrange) latent[2] = -3;
            new Random(i).NextBytes(pixels);
            detector.Observe(new FrameObservation
            {
                Frame = new FrameRef("camera.frames", 0, i, 1_000_000_000_000 + i * 100_000_000L),
                Scores = [.. calibration.Location.Zip(calibration.Scale, (location, scale) =>
                    (float)(location + (isStrange ? 5 : 0) * scale))],
                ErrorMap = new float[package.Card.Network.ErrorMapHeight * package.Card.Network.ErrorMapWidth],
                Latent = latent,
                Pixels = pixels,
            }, alerts);
        }
        return alerts;
    }

    private static CodeWatch Watch() => new(new CodeCalibration { Score = "latent", Mean = new float[5], Deviation = [1, 1, 1, 1, 1] },
        Calibration() with { Location = [0, 0], Scale = [1, 1] }, new Dictionary<int, string> { [0] = "sun height" });

    private static Calibration Calibration() =>
        Models.Calibration.Fit(Scores, ["local"], [.. Enumerable.Range(0, 40).Select(i => new float[] { i, 40 - i })]);
}
