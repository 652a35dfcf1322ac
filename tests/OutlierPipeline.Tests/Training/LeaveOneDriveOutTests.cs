using System.Text.Json;
using OutlierPipeline.Evaluation;
using OutlierPipeline.Frames;
using OutlierPipeline.Models;
using OutlierPipeline.Tests.Support;
using OutlierPipeline.Training.Features;
using OutlierPipeline.Training.Judging;

namespace OutlierPipeline.Tests.Training;

[Collection(TorchTests.Name)]
public sealed class LeaveOneDriveOutTests : IDisposable
{
    private static readonly FrameSize Size = new(48, 80);
    private readonly RenderedFootage _rendered = new();

    public void Dispose() => _rendered.Dispose();

    [Fact]
    public async Task Each_drive_is_judged_by_a_model_of_the_others_that_has_not_seen_a_frame_of_it()
    {
        string[] drives = [_rendered.Drive("north", 70, seed: 1), _rendered.Drive("south", 60, seed: 2)];
        string always = _rendered.Drive("always", 30, seed: 3);
        string fog = _rendered.Drive("fog", 12, seed: 2, Footage.Simulation.Trouble.Fog);
        string output = Path.Combine(_rendered.Directory, "out");
        var request = new JudgeRequest(drives, [always], [("mist", fog)], output, Frames: 6, Seed: 1, Threads: 2, HasBaselines: false,
            "evaluate")
        { Width = 80 };
        var report = await new LeaveOneDriveOut(request).RunAsync(_ => { }, TestContext.Current.CancellationToken);
        Assert.Equal(2, report.Drives.Count);
        foreach (var (drive, path) in report.Drives.Zip(drives))
        {
            string name = Path.GetFileName(path);
            Assert.EndsWith(name, drive.Drive, StringComparison.Ordinal);
            Assert.Equal("unseen", drive.Acquaintance);
            Assert.DoesNotContain(drive.TrainedOn, other => other.EndsWith(name, StringComparison.Ordinal));
            Assert.Equal(2, drive.TrainedOn.Count);
            var package = ModelPackage.Load(Directory.GetDirectories(output, "*" + name).Single());
            var own = _rendered.Load(path, Size);
            Assert.Equal(Acquaintance.Unseen, KnownFootage.Of(package)!.With(own, own.Drives[0]));
            Assert.Equal(OutlierKinds.All.Select(kind => (kind.Group, kind.Name)).Prepend(("real", "mist")).Append(("A", "mean"))
                .Append(("B", "mean")), drive.Kinds.Select(kind => (kind.Group, kind.Kind)));
            Assert.All(drive.Kinds.SelectMany(kind => kind.Auroc.Values), area =>
                Assert.InRange(area.Auroc, area.Ci[0] - 0.15, area.Ci[1] + 0.15));
            Assert.True(drive.Kinds.Single(kind => kind.Kind == "noise").Auroc[FrameDetector.Combined].Auroc > 0.9);
        }
        double[] means = [.. report.Drives.Select(drive => Fog(drive.Kinds))];
        Assert.Equal(means.Average(), Fog(report.Mean), 1e-3);
        Assert.Contains("| A fog |", report.ToMarkdown([FrameDetector.Combined]), StringComparison.Ordinal);
        Assert.Equal(2, JsonDocument.Parse(report.ToJson()).RootElement.GetProperty("drives").GetArrayLength());

        static double Fog(IReadOnlyList<KindFigures> kinds) => kinds.Single(kind => kind.Kind == "fog").Auroc[FrameDetector.Combined].Auroc;
    }

    [Fact]
    public async Task One_drive_cannot_be_left_out_of_itself()
    {
        var request = new JudgeRequest([_rendered.Drive("north", 20, seed: 1)], [], [], Path.Combine(_rendered.Directory, "out"), Frames: 6,
            Seed: 1, Threads: 2, HasBaselines: false, "evaluate")
        { Width = 80 };
        var fault = await Assert.ThrowsAsync<FootageException>(() =>
            new LeaveOneDriveOut(request).RunAsync(_ => { }, TestContext.Current.CancellationToken));
        Assert.Contains("--train", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void PaDiM_is_the_largest_Mahalanobis_distance_of_a_cell()
    {
        var footage = _rendered.Load(_rendered.Drive("day", 40, seed: 7), Size);
        var backbone = Backbone.ResNet18(1);
        using var runner = new FeatureRunner(backbone, Size, null, new byte[Size.Bytes], threads: 2);
        const int Cells = 60;
        using var features = FeatureFootage.Of(footage, runner, Cells, backbone.Channels, _ => { }, TestContext.Current.CancellationToken);
        using var padim = Padim.Fit(features, seed: 1);
        float[] frame = new float[Cells * backbone.Channels];
        features.Read(3, frame);
        for (int i = 0; i < backbone.Channels; i++) frame[17 * backbone.Channels + i] += i % 3;
        double expected = Enumerable.Range(0, Cells).Max(cell => Distance(features, frame, cell));
        Assert.Equal(expected, padim.Score(frame).Single(), 1e-2 * expected);
        Assert.Equal(Distance(features, frame, 17), expected);
    }

    /// <summary>By Gaussian elimination on the covariance with 0.01 on its diagonal.</summary>
    private static double Distance(FeatureFootage features, float[] frame, int cell)
    {
        int d = features.Channels;
        float[] buffer = new float[frame.Length];
        double[][] rows = [.. Enumerable.Range(0, features.Count).Select(i =>
        {
            features.Read(i, buffer);
            return buffer.Skip(cell * d).Take(d).Select(value => (double)value).ToArray();
        })];
        double[] mean = [.. Enumerable.Range(0, d).Select(k => rows.Average(row => row[k]))];
        double[] x = [.. Enumerable.Range(0, d).Select(k => frame[cell * d + k] - mean[k])];
        double[][] system = [.. Enumerable.Range(0, d).Select(a => Enumerable.Range(0, d).Select(b =>
            rows.Sum(row => (row[a] - mean[a]) * (row[b] - mean[b])) / (rows.Length - 1) + (a == b ? 0.01 : 0)).Append(x[a]).ToArray())];
        for (int a = 0; a < d; a++)
        {
            for (int b = 0; b < d; b++)
            {
                if (a == b) continue;
                double factor = system[b][a] / system[a][a];
                for (int k = a; k <= d; k++) system[b][k] -= factor * system[a][k];
            }
        }
        return Math.Sqrt(Enumerable.Range(0, d).Sum(k => x[k] * system[k][d] / system[k][k]));
    }
}
