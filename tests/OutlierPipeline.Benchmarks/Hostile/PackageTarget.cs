using System.Text;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Logging.Abstractions;
using OutlierPipeline.Frames;
using OutlierPipeline.Inference;
using OutlierPipeline.Models;

namespace OutlierPipeline.Benchmarks.Hostile;

/// <summary>
/// Loads a whole package of which one file is damaged, the graph as often as all others together, and computes a batch; the file's digest
/// is mended, so that more than the digest is tried.
/// </summary>
internal static class PackageTarget
{
    private static readonly string[] Files = ["model.json", "calibration.json", "own.json", "causes.json", "mask.png", "model.onnx"];
    private static readonly TimeSpan MaxTime = TimeSpan.FromSeconds(10);

    public static HostileTarget Make()
    {
        byte[][] sound = [HostileCorpus.Cards[0], HostileCorpus.Calibrations[0], HostileCorpus.Calibrations[0], HostileCorpus.Causes[0],
            new FrameMask(new FrameSize(16, 24), [.. Enumerable.Repeat((byte)1, 16 * 24)]).ToPng(), HostileGraph.Sound()];
        sound[0] = Mended(sound);
        // The last byte says which file it is.
        byte[][] corpus = [.. sound.Select((file, i) => (byte[])[.. file, (byte)i])];
        corpus = [.. corpus, .. Enumerable.Repeat(corpus[^1], corpus.Length - 2)];
        return new HostileTarget("package", corpus, input => Load(sound, input), e => e is ModelPackageException)
        {
            IsNative = true,
            MaxTime = MaxTime
        };
    }

    private static void Load(byte[][] sound, byte[] input)
    {
        if (input.Length == 0) return;
        var directory = Directory.CreateTempSubdirectory("hostile-package-");
        try
        {
            int damaged = input[^1] % Files.Length;
            byte[][] files = [.. sound];
            files[damaged] = input[..^1];
            if (damaged != 0) files[0] = Mended(files);
            for (int i = 0; i < Files.Length; i++) File.WriteAllBytes(Path.Combine(directory.FullName, Files[i]), files[i]);
            var package = ModelPackage.Load(directory.FullName);
            _ = package.For("car-1");
            using var engine = new InferenceEngine(package, new InferenceOptions { Accelerator = Accelerator.Cpu, Threads = 1 },
                NullLogger.Instance);
            _ = engine.CreateBatch(2);
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }

    private static byte[] Mended(byte[][] files)
    {
        var card = JsonNode.Parse(files[0])!;
        var digests = new JsonObject();
        for (int i = 1; i < Files.Length; i++) digests[Files[i]] = ModelPackage.DigestOf(files[i]);
        card["files"] = digests;
        return Encoding.UTF8.GetBytes(card.ToJsonString());
    }
}
