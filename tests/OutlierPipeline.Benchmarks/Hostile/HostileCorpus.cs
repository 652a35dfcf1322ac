using System.Text;
using OutlierPipeline.Footage.Simulation;
using SkiaSharp;

namespace OutlierPipeline.Benchmarks.Hostile;

/// <summary>Sound inputs, small ones, that are then damaged. Pictures are made by the project's own renderer.</summary>
internal static class HostileCorpus
{
    private const string Footage1 = """{"source":"s","frames":20,"digest":"sha256:00"}""";

    public static IReadOnlyList<byte[]> Pictures { get; } = MakePictures();

    public static IReadOnlyList<byte[]> Frames { get; } =
    [
        Frame("truck-17/front", 0, "image/jpeg", [0xff, 0xd8, 0xff, 0xe0, 0, 16]),
        Frame("car", 1, "foxglove.CompressedImage", [10, 5, 8, 0x80, 8, 16, 5, 18, 4, 0xff, 0xd8, 0xff, 0xd9, 26, 4, .. "jpeg"u8]),
        Frame("car", 0, "application/x-protobuf; v=1", [0, 0, 0, 0, 1, 0, 18, 4, 0xff, 0xd8, 0xff, 0xd9]),
        Frame("car", 0, "application/json", "{\"data\":\"/9j/4A==\",\"format\":\"jpeg\"}"u8.ToArray()),
        Frame("car", 2, "1764200000000000000", [0x89, .. "PNG\r\n\u001a\n"u8]),
        Frame("ü", 3, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "RIFF\0\0\0\0WEBPVP8 "u8.ToArray()),
        Frame("car", 4, "end", []),
    ];

    public static IReadOnlyList<byte[]> States { get; } = Texts(
        """{"schema":1,"writtenSeconds":5,"undecodable":2,"cell":3,"wasCalm":true,"guaranteed":1.5,"spot":"AAEC","once":true}""",
        """
        {"schema":1,"incident":{"id":"a","kind":"obstruction","severity":"warning","step":1,"first":{"partition":0,"offset":3},
        "firedScore":"local","lastStrange":7,"strongest":2.5},"onset":{},"driftMean":0.5,"undecodableFrom":{"partition":0,"offset":3}}
        """);

    public static IReadOnlyList<byte[]> TopicIds { get; } = Texts("""{"schema":1,"topicId":"AAECAwQFBgcICQoLDA0ODw"}""");

    public static IReadOnlyList<byte[]> Alerts { get; } = Texts(
        """
        {"specversion":"1.0","id":"a-1","source":"urn:outlier-pipeline","subject":"a","type":"outlier.opened","time":"2026-01-01T00:00:00Z",
        "data":{"camera":"truck-1","kind":"obstruction","severity":"warning","reason":"strange","firstFrame":{"timestamp":
        "2026-01-01T00:00:00.123456789Z"},"lastFrame":{"timestamp":"2026-01-01T00:00:01Z"},"closed":null,"firedScore":"local",
        "strangeness":2.5,"extrapolated":true,"martingale":4,"where":{"x":0.1,"y":0.2,"width":0.3,"height":0.4},"along":
        [{"name":"sun","sigma":-6.1}],"cause":{"name":"fog",
        "probability":0.5},"model":{"name":"m","version":"1"},"picture":{"base64":"
        """.Replace("\n", "", StringComparison.Ordinal) + Convert.ToBase64String(Pictures[0]) + "\",\"blurred\":false}}}");

    public static IReadOnlyList<byte[]> Queries { get; } = Texts("truck-*/front,car-?", "info,warning,critical", "obstruction,blackout",
        "9a3f00c1~0:17,1:4", "2026-01-01T00:00:00.123456789+01:00", "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz");

    public static IReadOnlyList<byte[]> Requests { get; } = Texts(
        """
        {"name":"ops","url":"https://example.org/h","secret":"whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz","cameras":"truck-*",
        "minSeverity":"warning","kinds":["obstruction","blackout"]}
        """,
        """{"judgement":"false","text":"rain"}""",
        """{"cameras":"car-1","from":"2026-01-01T00:00:00Z","until":"2026-01-02T00:00:00Z","reason":"wash"}""");

    public static IReadOnlyList<byte[]> Cards { get; } = Texts(
        $$$"""
        {"schema":2,"name":"m","version":"1","description":"d","licence":"l","network":{"architecture":"vae","paper":"p","height":16,
        "width":24,"latent":2,"cellSide":8,"lastWeight":"w","errorMapHeight":2,"errorMapWidth":3,"parameters":1,"flopsPerFrame":1,
        "hyperParameters":{"beta":1},"backbone":{"name":"b","licence":"l","digest":"d"}},"scores":["a","b"],"localScores":["b"],
        "training":{"command":"c","seed":1,"epochs":1,"device":"cpu","seconds":1,"footage":{{{Footage1}}}},"calibration":{{{Footage1}}},
        "mask":"mask.png","cameras":{"car-1":{"calibration":"own.json","mask":"mask.png","footage":{{{Footage1}}}}},
        "quality":{"validationMse":0.1},"files":{"model.onnx":"sha256:00","calibration.json":"sha256:01"}}
        """);

    public static IReadOnlyList<byte[]> Calibrations { get; } = Texts(
        $$$"""
        {"schema":2,"scores":["a","b"],"combines":["a","b"],"location":[0,1],"scale":[1,2],"weight":0.5,"tail":{"threshold":1,"shape":0.1,
        "scale":1},"sorted":{"a":[{{{Ascending(20)}}}],"b":[{{{Ascending(20)}}}]},"combined":[{{{Ascending(20)}}}],"weights":[1,2],
        "rows":[[0,1],[2,3]],"drives":[1,1],"missed":[[4,5]],"latentMap":{"mean":[0,1],"first":[0,1],"second":[1,0],"points":[[0,1]]},
        "isBootstrap":true,"deploymentDrives":2,"pace":{"seconds":1,"allowance":0},"onset":{"basis":"b","fast":[{"framesPerSecond":2,
        "units":[1,1],"sorted":[0,1,2],"weight":0.5,"tail":{"threshold":1,"shape":0.1,"scale":1}}]}}
        """);

    public static IReadOnlyList<byte[]> Causes { get; } = Texts(
        """
        {"schema":1,"causes":["fog","rain"],"projection":[1,2,3,4],"normal":[0,1],"directions":[1,0,0,1],"bounds":[0.5,0.6],
        "temperature":0.1}
        """);

    public static IReadOnlyList<byte[]> Footage { get; } = Texts(
        """{"training":{"drives":["a/b"],"hashes":"AAECAw=="},"calibration":{"drives":["a/c"],"hashes":"AAECAwQFBgc="}}""");

    private static string Ascending(int count) => string.Join(',', Enumerable.Range(0, count));

    private static byte[][] Texts(params string[] texts) => [.. texts.Select(Encoding.UTF8.GetBytes)];

    private static byte[] Frame(string key, byte header, string value, byte[] payload)
    {
        byte[] name = Encoding.UTF8.GetBytes(key);
        byte[] said = Encoding.UTF8.GetBytes(value);
        return [(byte)name.Length, (byte)said.Length, header, .. name, .. said, .. payload];
    }

    private static byte[][] MakePictures()
    {
        using var camera = new StreetCamera(1);
        byte[] jpeg = camera.Render(0, Trouble.None);
        using var whole = SKBitmap.Decode(jpeg);
        using var small = whole.Resize(new SKImageInfo(96, 64), SKSamplingOptions.Default);
        byte[][] encoded = [.. new[] { SKEncodedImageFormat.Jpeg, SKEncodedImageFormat.Png, SKEncodedImageFormat.Webp }.Select(format =>
        {
            using var data = small.Encode(format, 80);
            return data.ToArray();
        })];
        return [.. encoded, jpeg];
    }
}
