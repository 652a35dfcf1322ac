using System.CommandLine;
using System.Globalization;
using OutlierPipeline.Evaluation;
using OutlierPipeline.Footage;
using OutlierPipeline.Footage.Simulation;
using OutlierPipeline.Frames;
using OutlierPipeline.Training;
using OutlierPipeline.Training.Networks;
using static TorchSharp.torch;

namespace OutlierPipeline.Benchmarks;

/// <summary>
/// <c>factors</c>: how far each dimension of a code goes with one factor of the picture (sun, fog, curvature, traffic, vegetation, pitch),
/// for the losses side by side, with the same frames and seeds. The frames are one place of the rendered street with factors drawn
/// independently; they train nothing but this.
/// </summary>
internal static class Factors
{
    private const int Place = 12;
    private const int Steps = 8;

    public static int Run(string[] arguments)
    {
        var frames = new Option<int>("--frames") { DefaultValueFactory = _ => 3000, Description = "That train" };
        var judged = new Option<int>("--judged") { DefaultValueFactory = _ => 1000, Description = "Others, that judge" };
        var seeds = new Option<int[]>("--seeds") { DefaultValueFactory = _ => [1, 2, 3, 4, 5], AllowMultipleArgumentsPerToken = true };
        var losses = new Option<string[]>("--losses")
        {
            DefaultValueFactory = _ => ["vae", "beta-tcvae"],
            AllowMultipleArgumentsPerToken = true,
            Description = "Architectures, each perhaps with its weight: beta-tcvae=10; or with a capacity: beta-vae=1000/25"
        };
        var epochs = new Option<int>("--epochs") { DefaultValueFactory = _ => 10 };
        var latent = new Option<int>("--latent") { DefaultValueFactory = _ => 10 };
        var threads = new Option<int>("--threads") { DefaultValueFactory = _ => 2 };
        var picture = new Option<FileInfo?>("--picture") { Description = "Traversals of the best code, a PNG" };
        var command = new RootCommand { frames, judged, seeds, losses, epochs, latent, threads, picture };
        command.SetAction(options =>
        {
            LibTorch.Prepare(Environment.GetEnvironmentVariable("LIBTORCH_DIR"));
            set_num_threads(options.GetValue(threads));
            var size = new FrameSize(48, 80);
            string directory = Directory.CreateTempSubdirectory("outlier-factors-").FullName;
            try
            {
                var (training, _) = Render(Path.Combine(directory, "training"), options.GetValue(frames), 1, size);
                var (others, factors) = Render(Path.Combine(directory, "judged"), options.GetValue(judged), 2, size);
                using (training)
                using (others)
                {
                    var best = (Mig: -1.0, Pictures: Array.Empty<byte>());
                    foreach (string loss in options.GetRequiredValue(losses))
                    {
                        var results = new List<Disentanglement>();
                        foreach (int seed in options.GetRequiredValue(seeds))
                        {
                            var settings = Settings(loss, options.GetValue(epochs), seed);
                            var network = new PatchNetwork(size, options.GetValue(latent), isVariational: true);
                            var parts = training.SplitByTime(0.95, 0.05);
                            using var trainer = new Trainer(network, parts[0], parts[1], null, settings,
                                Path.Combine(directory, "checkpoint"));
                            trainer.Run(_ => { }, CancellationToken.None);
                            var ops = new TorchOps(trainer.Weights.ToDictionary(weight => weight.Key, weight =>
                                tensor(weight.Value.Values, weight.Value.Shape)), CPU);
                            var (means, variances) = Encode(ops, network, others);
                            var result = Disentanglement.Measure(means, factors);
                            results.Add(result);
                            Console.WriteLine(Line($"{loss} seed {seed}", result) + Information(means, variances) + string.Create(
                                CultureInfo.InvariantCulture, $"  error {trainer.Figures.ValidationError:0.00000}  " +
                                $"epoch {trainer.BestEpoch}  {Names(result)}"));
                            if (result.Mig <= best.Mig) continue;
                            best = (result.Mig, Traverse(ops, network, means, result));
                        }
                        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{loss}: median MIG " +
                            $"{Median(results, r => r.Mig):0.000}, D {Median(results, r => r.OneFactorADimension):0.000}, " +
                            $"C {Median(results, r => r.OneDimensionAFactor):0.000}, I {Median(results, r => r.Informativeness):0.000}"));
                    }
                    if (options.GetValue(picture) is { } file)
                        File.WriteAllBytes(file.FullName, PictureGrid.Encode(best.Pictures, size, Steps));
                }
            }
            finally
            {
                Directory.Delete(directory, recursive: true);
            }
        });
        return command.Parse(arguments).Invoke();
    }

    /// <summary>Frames of one place, and their factors, n rows of K.</summary>
    private static (DecodedFootage Footage, float[][] Factors) Render(string directory, int count, int seed, FrameSize size)
    {
        Directory.CreateDirectory(directory);
        using var camera = new StreetCamera(Place);
        var random = new Random(seed);
        float[][] factors = new float[count][];
        for (int i = 0; i < count; i++)
        {
            var drawn = StreetFactors.Draw(random);
            factors[i] = [.. Enumerable.Range(0, StreetFactors.Count).Select(k => drawn[k])];
            File.WriteAllBytes(Path.Combine(directory, FormattableString.Invariant($"{i:00000}.jpg")), camera.Render(drawn));
        }
        return (new FootageLoader().LoadAsync([directory], size, CancellationToken.None).GetAwaiter().GetResult(), factors);
    }

    private static TrainingSettings Settings(string loss, int epochs, int seed)
    {
        string[] parts = loss.Split('=', '/');
        double[] numbers = [.. parts.Skip(1).Select(part => double.Parse(part, CultureInfo.InvariantCulture))];
        var architecture = Architecture.Named(parts[0]);
        return new TrainingSettings
        {
            Architecture = architecture,
            Epochs = epochs,
            Batch = 64,
            Seed = seed,
            Beta = numbers.Length > 0 ? numbers[0] : architecture.Beta,
            Capacity = numbers.Length > 1 ? numbers[1] : 0,
            FreeBits = 0,
            Patience = epochs,
            // Moved and brighter frames would be factors of their own.
            IsAugmented = false,
        };
    }

    private static (float[][] Means, double[][] Variances) Encode(TorchOps ops, PatchNetwork network, DecodedFootage footage)
    {
        using var off = no_grad();
        var means = new List<float[]>();
        var variances = new List<double[]>();
        foreach (int[] batch in Enumerable.Range(0, footage.Count).Chunk(100))
        {
            using var scope = NewDisposeScope();
            var pixels = TorchOps.Pixels(footage, batch, CPU);
            var (mean, logVariance) = network.Encode(ops, PatchNetwork.Analyse(ops, network.Patches(ops, pixels)));
            means.AddRange(mean.contiguous().data<float>().ToArray().Chunk(network.Latent));
            variances.AddRange(logVariance!.exp().contiguous().data<float>().ToArray().Select(value => (double)value)
                .Chunk(network.Latent));
        }
        return ([.. means], [.. variances]);
    }

    /// <summary>A row for each dimension that is explained best, walked from −2.5 to 2.5 deviations of its means.</summary>
    private static byte[] Traverse(TorchOps ops, PatchNetwork network, float[][] means, Disentanglement result)
    {
        int[] rows = [.. Enumerable.Range(0, network.Latent).OrderByDescending(d => result.Explained[d].R2).Take(StreetFactors.Count)];
        Console.WriteLine("rows of the picture: " + string.Join(", ", rows.Select(d => string.Create(CultureInfo.InvariantCulture,
            $"{StreetFactors.Names[result.Explained[d].Factor]} ({result.Explained[d].R2:0.00})"))));
        float[] centre = [.. Enumerable.Range(0, network.Latent).Select(d => means.Average(code => code[d]))];
        float[] codes = [.. rows.SelectMany(d =>
        {
            float deviation = (float)Math.Sqrt(means.Average(code => Math.Pow(code[d] - centre[d], 2)));
            return Enumerable.Range(0, Steps).SelectMany(step => centre.Select((value, other) =>
                other == d ? value + deviation * (-2 + 4f * step / (Steps - 1)) : value));
        })];
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var coefficients = network.Decode(ops, tensor(codes, [rows.Length * Steps, network.Latent]));
        var levels = (PatchNetwork.Synthesise(ops, coefficients) + 0.5) * 255;
        var pixels = ops.FromPatches(levels.clamp(0, 255).round(), network.Size, 3, PatchNetwork.Patch);
        return pixels.to(uint8).contiguous().data<byte>().ToArray();
    }

    private static string Information(float[][] means, double[][] variances)
    {
        const int Frames = 1000;
        var information = LatentInformation.Measure([.. means.Take(Frames).Select(code => code.Select(value => (double)value).ToArray())],
            [.. variances.Take(Frames)], seed: 1);
        return string.Create(CultureInfo.InvariantCulture, $"  MI {information.MutualInformation:0.0}  " +
            $"TC {information.TotalCorrelation:0.0}  KL {information.KlPerDimension.Sum():0.0}");
    }

    private static string Line(string name, Disentanglement result) => string.Create(CultureInfo.InvariantCulture,
        $"{name}: MIG {result.Mig:0.000} ({string.Join(' ', result.Gaps.Select(gap => gap.ToString("0.00",
            CultureInfo.InvariantCulture)))})  D {result.OneFactorADimension:0.000}  C {result.OneDimensionAFactor:0.000}  " +
        $"I {result.Informativeness:0.000}");

    private static string Names(Disentanglement result) => string.Join(", ", result.Names(StreetFactors.Names).Values);

    private static double Median(List<Disentanglement> results, Func<Disentanglement, double> figure)
    {
        double[] sorted = [.. results.Select(figure).Order()];
        return (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }
}
