using OutlierPipeline.Footage;
using OutlierPipeline.Frames;
using OutlierPipeline.Training;
using OutlierPipeline.Training.Features;
using OutlierPipeline.Training.Networks;
using OutlierPipeline.Training.Paired;
using SkiaSharp;

namespace OutlierPipeline.Tests.Training;

/// <summary>Both ways of a translation, trained once on drawn scenes.</summary>
public sealed class TrainedPairs : IDisposable
{
    private const int Frames = 24;
    private readonly string _directory = Directory.CreateTempSubdirectory("outlier-test-").FullName;

    public TrainedPairs()
    {
        string drive = Path.Combine(_directory, "drive");
        (Footage, Maps) = Draw(drive);
        Backbone = Backbone.ResNet18(stages: 4);
        Network = new MapNetwork(Size, [64, 128, 256, 512], Classes.Classes.Count, Classes.Void, isProbe: false);
        Features = StageFootage.Of(Footage, Backbone, Network, 2, _ => { }, TestContext.Current.CancellationToken);
        ToMap = new MapTrainer(Network, Footage, Features, Maps, Classes, Settings(epochs: 12), Path.Combine(_directory, "to-map"));
        MapBegin = ToMap.Weights;
        Assert.True(ToMap.Run(_ => { }, TestContext.Current.CancellationToken));
        Painter = new MapPainter(Size, Classes.Classes.Count);
        ToPicture = new PictureTrainer(Painter, Footage, Maps, Classes, Settings(epochs: 30), Path.Combine(_directory, "to-picture"));
        PictureBegin = ToPicture.Weights;
        Assert.True(ToPicture.Run(_ => { }, TestContext.Current.CancellationToken));
    }

    internal static FrameSize Size { get; } = new(64, 96);

    internal static LabelClasses Classes { get; } = new([new("sky", "#6fa8dc"), new("road", "#6b5b95"), new("car", "#1f3fd0"),
        new("void", "#000000")], 3);

    internal DecodedFootage Footage { get; }

    internal byte[][] Maps { get; }

    internal Backbone Backbone { get; }

    internal MapNetwork Network { get; }

    internal StageFootage Features { get; }

    internal MapTrainer ToMap { get; }

    internal IReadOnlyDictionary<string, (float[] Values, long[] Shape)> MapBegin { get; }

    internal MapPainter Painter { get; }

    internal PictureTrainer ToPicture { get; }

    internal IReadOnlyDictionary<string, (float[] Values, long[] Shape)> PictureBegin { get; }

    internal static TrainingSettings Settings(int epochs) => SmallTraining.Settings("pix2pix", epochs, batch: 8) with
    {
        LearningRate = 2e-3,
        AdversarialWeight = 0.02,
    };

    public void Dispose()
    {
        ToMap.Dispose();
        ToPicture.Dispose();
        Features.Dispose();
        Footage.Dispose();
        Directory.Delete(_directory, recursive: true);
    }

    /// <summary>Frames of a sky, a road and a car, with noise, and their maps beside them.</summary>
    private static (DecodedFootage Footage, byte[][] Maps) Draw(string drive)
    {
        Directory.CreateDirectory(Path.Combine(drive, "labels"));
        var random = new Random(1);
        for (int i = 0; i < Frames; i++)
        {
            byte[] map = new byte[Size.Height * Size.Width];
            using var picture = new SKBitmap(Size.Width, Size.Height, SKColorType.Rgba8888, SKAlphaType.Opaque);
            int horizon = random.Next(20, 36);
            int left = random.Next(4, 64);
            for (int y = 0; y < Size.Height; y++)
            {
                for (int x = 0; x < Size.Width; x++)
                {
                    bool isCar = y >= 40 && y < 58 && x >= left && x < left + 26;
                    int index = y < 2 ? 3 : isCar ? 2 : y < horizon ? 0 : 1;
                    map[y * Size.Width + x] = (byte)index;
                    int noise = random.Next(-8, 9);
                    picture.SetPixel(x, y, index switch
                    {
                        2 => Grey(200, 40, 40, noise),
                        1 => Grey(30 + 3 * (y - horizon), 30 + 3 * (y - horizon), 60, noise),
                        _ => Grey(150, 190, 230, noise),
                    });
                }
            }
            using var png = picture.Encode(SKEncodedImageFormat.Png, 100);
            File.WriteAllBytes(Path.Combine(drive, $"{i:000}.png"), png.ToArray());
            File.WriteAllBytes(Path.Combine(drive, "labels", $"{i:000}.png"),
                new LabelMap(Size.Height, Size.Width, map).Encode([.. Classes.Classes.Select(one => one.Rgb)]));
        }
        var footage = new FootageLoader().LoadAsync([drive], Size, CancellationToken.None).GetAwaiter().GetResult();
        return (footage, new LabelFiles([drive], []).Read(footage, Classes.Classes));

        static SKColor Grey(int red, int green, int blue, int noise) =>
            new((byte)(red + noise), (byte)(green + noise), (byte)(blue + noise));
    }
}
