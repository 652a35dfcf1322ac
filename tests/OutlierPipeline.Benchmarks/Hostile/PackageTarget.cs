using System.Text;
using System.Text.Json.Nodes;
using OutlierPipeline.Frames;
using OutlierPipeline.Models;

namespace OutlierPipeline.Benchmarks.Hostile;

/// <summary>Loads a whole package of which one file is damaged; its digest is mended, so that more than the digest is tried.</summary>
internal static class PackageTarget
{
    private static readonly string[] Files = ["model.json", "calibration.json", "own.json", "causes.json", "mask.png"];

    public static IReadOnlyList<HostileTarget> WithPackages(IReadOnlyList<HostileTarget> others)
    {
        byte[][] sound = [HostileCorpus.Cards[0], HostileCorpus.Calibrations[0], HostileCorpus.Calibrations[0], HostileCorpus.Causes[0],
            new FrameMask(new FrameSize(16, 24), [.. Enumerable.Repeat((byte)1, 16 * 24)]).ToPng()];
        sound[0] = Mended(sound);
        // The last byte says which file it is.
        byte[][] corpus = [.. sound.Select((file, i) => (byte[])[.. file, (byte)i])];
        return [.. others, new HostileTarget("package", corpus, input => Load(sound, input), e => e is ModelPackageException)];
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
            File.WriteAllBytes(Path.Combine(directory.FullName, "model.onnx"), [1, 2, 3]);
            if (damaged != 0) files[0] = Mended(files);
            for (int i = 0; i < Files.Length; i++) File.WriteAllBytes(Path.Combine(directory.FullName, Files[i]), files[i]);
            _ = ModelPackage.Load(directory.FullName).For("car-1");
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }

    private static byte[] Mended(byte[][] files)
    {
        var card = JsonNode.Parse(files[0])!;
        var digests = new JsonObject { ["model.onnx"] = ModelPackage.DigestOf([1, 2, 3]) };
        for (int i = 1; i < Files.Length; i++) digests[Files[i]] = ModelPackage.DigestOf(files[i]);
        card["files"] = digests;
        return Encoding.UTF8.GetBytes(card.ToJsonString());
    }
}
