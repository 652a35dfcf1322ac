using System.CommandLine;
using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using OutlierPipeline.Evaluation;
using OutlierPipeline.Footage;
using OutlierPipeline.Frames;
using OutlierPipeline.Inference;
using OutlierPipeline.Models;
using OutlierPipeline.Training.Judging;

namespace OutlierPipeline.Benchmarks;

/// <summary>
/// <c>samples</c>: how far what packages draw is from frames of unseen drives, in what ResNet18's last stage says of them: KID with
/// intervals, precision and recall, and the distance to the nearest training frame; with noise, blurred frames and the training frames as
/// marks on the same scale; and how sharp they are. Of a package that scores, unseen frames as it redraws them too: the mean squared error
/// of a value (0 to 1), and how far the gradients are the frames' (<see cref="Sharpness.Followed"/>). A package of pairs draws the label
/// maps of the unseen frames. <c>--picture FILE</c>: a row of each package, without the frames: what it redraws of them, or draws of codes;
/// of pairs, the maps that it makes of frames and, below, what it draws of people's maps of these. A package whose samples are nearer to
/// training frames than unseen frames are has memorised them: the exit code is then 1.
/// </summary>
internal static class Samples
{
    private const int Columns = 6;

    public static async Task<int> RunAsync(string[] arguments)
    {
        var models = new Option<string[]>("--model") { Required = true, AllowMultipleArgumentsPerToken = true };
        var training = new Option<string[]>("--training") { Required = true, AllowMultipleArgumentsPerToken = true };
        var unseen = new Option<string[]>("--unseen") { Required = true, AllowMultipleArgumentsPerToken = true };
        var count = new Option<int>("--count") { DefaultValueFactory = _ => 500, Description = "Pictures of each sort, at most" };
        var threads = new Option<int>("--threads") { DefaultValueFactory = _ => 2 };
        var picture = new Option<string?>("--picture") { Description = "A PNG of what the packages draw" };
        var command = new RootCommand { models, training, unseen, count, threads, picture };
        command.SetAction(async (options, cancellation) =>
        {
            int most = options.GetValue(count);
            string[] named = options.GetRequiredValue(models);
            var sizes = named.Select(model => ModelPackage.ReadCard(model).Network).Select(network =>
                network.Translation?.PictureSize ?? network.Size).Distinct().ToArray();
            if (sizes is not [var size]) throw new ArgumentException("packages that draw pictures of one size are needed");
            using var trained = await new FootageLoader().LoadAsync(options.GetRequiredValue(training), size, cancellation);
            using var others = await new FootageLoader().LoadAsync(options.GetRequiredValue(unseen), size, cancellation);
            using var judge = new PictureFeatures(size, options.GetValue(threads));
            float[][] frames = judge.Of(others, most);
            float[][] known = judge.Of(trained, int.MaxValue);
            byte[] unseenFrames = Evenly(others, most);
            double sharpest = Sharpness.Of(unseenFrames, size);
            Console.WriteLine($"{others.Count} unseen frames, {trained.Count} training frames, {size}");
            Console.WriteLine("what                       KID (95 %)              precision  recall  nearest training frame  sharpness  " +
                "error    gradients  correlation");
            Print("unseen frames themselves", unseenFrames);
            Print("training frames", Evenly(trained, most));
            Print("blurred frames", [.. unseenFrames.Chunk(size.Bytes).SelectMany(frame => Blurred(frame, size))], isRedrawn: true);
            byte[] noise = new byte[Math.Min(most, 200) * size.Bytes];
            new Random(1).NextBytes(noise);
            Print("noise", noise);
            var shown = new List<byte>();
            double own = SampleQuality.Nearest(frames, known);
            bool hasMemorised = false;
            foreach (string model in named)
            {
                if (ModelPackage.ReadCard(model).Network.Translation is { } maps)
                {
                    byte[][] labels = new LabelFiles(options.GetRequiredValue(unseen), []).Read(others, maps.Classes);
                    Print("maps in plain colours", [.. labels.SelectMany(map => map.SelectMany(index => Bytes(maps.Classes[index])))]);
                    using var translator = new Translator(model, TranslationCard.ToPicture);
                    var random = new Random(1);
                    byte[] translated = [.. labels.SelectMany(map => translator.ToPicture(map,
                        [.. Enumerable.Range(0, maps.Noise).Select(_ => (float)CorruptedPicture.Normal(random))]))];
                    Print($"pix2pix: {translator.Card.Name}", translated);
                    shown.AddRange(await MapsAsync(model, options.GetRequiredValue(unseen), size, cancellation));
                    shown.AddRange(Some(translated, size));
                    continue;
                }
                var (card, graph) = ModelPackage.ReadDecoder(model);
                using var decoder = new LatentDecoder(card.Network, graph);
                byte[] sampled = Gallery.Sample(decoder, most, seed: 1);
                double nearest = Print($"{card.Network.Architecture}: {card.Name}", sampled);
                if (nearest < own)
                {
                    Console.WriteLine("  nearer to the training frames than unseen frames are: it has memorised them");
                    hasMemorised = true;
                }
                if (card.Network.OnlyDraws)
                {
                    shown.AddRange(Some(sampled, size));
                    continue;
                }
                using var engine = new InferenceEngine(ModelPackage.Load(model), new InferenceOptions { Accelerator = Accelerator.Cpu },
                    NullLogger.Instance);
                byte[] redrawn = engine.Reconstruct(unseenFrames);
                Print($"{card.Name}, frames redrawn", redrawn, isRedrawn: true);
                shown.AddRange(Some(redrawn, size));
            }
            if (options.GetValue(picture) is { } file) File.WriteAllBytes(file, PictureGrid.Encode([.. shown], size, Columns));
            return hasMemorised ? 1 : 0;

            static byte[] Bytes(ClassCard one) => [one.Rgb.Red, one.Rgb.Green, one.Rgb.Blue];

            double Print(string name, byte[] drawn, bool isRedrawn = false)
            {
                float[][] pictures = judge.Of(drawn);
                double error = drawn.Zip(unseenFrames, (a, b) => Math.Pow((a - b) / 255.0, 2)).Average();
                var (share, correlation) = isRedrawn ? Sharpness.Followed(drawn, unseenFrames, size) : default;
                string off = isRedrawn ? string.Create(CultureInfo.InvariantCulture, $"{error:0.00000}  {share,9:0.000}  " +
                    $"{correlation,11:0.000}") : "";
                var (kid, width) = SampleQuality.Kid(frames, pictures, seed: 1);
                var (precision, recall) = SampleQuality.PrecisionAndRecall(frames, pictures);
                double nearest = SampleQuality.Nearest(pictures, known);
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{name,-26} {kid,8:0.00} ± {width,-8:0.00}       " +
                    $"{precision,9:0.00} {recall,7:0.00} {nearest,8:0.00}               " +
                    $"{Sharpness.Of(drawn, size) / sharpest,8:0.000}   {off}"));
                return nearest;
            }
        });
        return await command.Parse(arguments).InvokeAsync();
    }

    private static byte[] Evenly(DecodedFootage footage, int most)
    {
        int count = Math.Min(most, footage.Count);
        return [.. Enumerable.Range(0, count).SelectMany(i => footage[(int)((long)i * footage.Count / count)])];
    }

    /// <summary>A row of them, evenly spread.</summary>
    private static byte[] Some(byte[] pictures, FrameSize size)
    {
        int count = pictures.Length / size.Bytes;
        return [.. Enumerable.Range(0, Columns).SelectMany(k => pictures.AsSpan(k * count / Columns * size.Bytes, size.Bytes).ToArray())];
    }

    /// <summary>The maps that a package makes of frames, a row in the classes' colours; none where it makes no maps.</summary>
    private static async Task<byte[]> MapsAsync(string model, string[] unseen, FrameSize size, CancellationToken cancellation)
    {
        if (!ModelPackage.ReadCard(model).Files.ContainsKey(TranslationCard.ToMap)) return [];
        using var translator = new Translator(model, TranslationCard.ToMap);
        using var frames = await new FootageLoader().LoadAsync(unseen, translator.Size, cancellation);
        var palette = translator.Maps.Classes.Select(one => one.Rgb).ToArray();
        return [.. Enumerable.Range(0, Columns).SelectMany(k =>
        {
            var (map, _) = translator.ToMap(frames[k * frames.Count / Columns]);
            return Enumerable.Range(0, size.Height * size.Width).SelectMany(i =>
            {
                int y = i / size.Width * translator.Size.Height / size.Height, x = i % size.Width * translator.Size.Width / size.Width;
                var (red, green, blue) = palette[map[y * translator.Size.Width + x]];
                return new[] { red, green, blue };
            });
        })];
    }

    /// <summary>By the suite's defocus at its highest severity: a Gaussian of a fortieth of the height.</summary>
    private static byte[] Blurred(byte[] frame, FrameSize size)
    {
        CorruptionSuite.All.Single(one => one.Name == "defocus-blur").Apply(frame, size, Corruption.Severities, seed: 1, index: 0);
        return frame;
    }
}
