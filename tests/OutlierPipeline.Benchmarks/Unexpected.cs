using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.ML.OnnxRuntime;
using OutlierPipeline.Evaluation;
using OutlierPipeline.Footage;
using OutlierPipeline.Frames;
using OutlierPipeline.Inference;
using OutlierPipeline.Models;

namespace OutlierPipeline.Benchmarks;

/// <summary>
/// <c>unexpected --pairs PACKAGE --model PACKAGE --frames FOOTAGE …</c>: an obstacle is pasted on every frame. How well the second graph
/// of a package of pairs finds it, by the picture drawn again and by the classes' densities, beside the local likelihood of a feature VAE
/// and their combination: average precision of pixels, and AUROC of frames against the frames as they are. <c>--picture FILE</c>: of some
/// frames the map, what was drawn again of it, and both maps of strangeness; never the frames themselves.
/// </summary>
internal static class Unexpected
{
    private const int Severity = 3;
    private const int Seed = 24;

    public static async Task<int> RunAsync(string[] arguments)
    {
        string pairs = Option("--pairs"), model = Option("--model");
        string? picture = arguments.Contains("--picture") ? Option("--picture") : null;
        string[] frames = [.. arguments.SkipWhile(argument => argument != "--frames").Skip(1).TakeWhile(argument => argument[0] != '-')];
        var package = ModelPackage.Load(model);
        using var engine = new InferenceEngine(package, new InferenceOptions(), NullLogger.Instance);
        var (_, bytes) = ModelPackage.ReadTranslator(pairs, SecondGraph.FileName);
        using var session = new InferenceSession(bytes);
        using var run = new RunOptions();
        // Obstacles are pasted at the size of the translation, so that both see the same.
        var size = ModelPackage.ReadCard(pairs).Network.Size;
        using var footage = await new FootageLoader().LoadAsync(frames, size, CancellationToken.None);
        var corruption = CorruptionSuite.All.Single(candidate => candidate.Name == "obstacle");
        using var decoder = new FrameDecoder(package.Card.Network.Size, new FrameLimits());
        var kept = new Dictionary<string, (List<float[]> Clean, List<float[]> Pasted, int Rows, int Columns)>();
        var scores = new Dictionary<string, (List<double> Clean, List<double> Pasted)>();
        var masks = new List<byte[]>();
        for (int i = 0; i < footage.Count; i++)
        {
            byte[] clean = footage[i];
            byte[] pasted = [.. clean];
            masks.Add(corruption.Apply(pasted, size, Severity, Seed, i).ToArray());
            Look(clean, isPasted: false);
            Look(pasted, isPasted: true);
        }
        if (picture is not null) Draw(picture);
        Console.WriteLine($"{footage.Count} frames, an obstacle of severity {Severity} on each; {model} and {pairs}");
        Console.WriteLine("| score | pixel AP | frame AUROC |");
        Console.WriteLine("| --- | --- | --- |");
        foreach (var (name, (clean, pasted)) in scores)
        {
            string map = name switch
            {
                SecondGraph.Resynthesis => "error_map",
                SecondGraph.Classes => "class_map",
                "local" => "model",
                _ => "",
            };
            string precision = map.Length == 0 || !kept.TryGetValue(map, out var places) ? "-"
                : Text(Precision([.. places.Pasted.Select(cells => At(cells, places.Rows, places.Columns))]));
            Console.WriteLine($"| {name} | {precision} | {Text(DetectionMetrics.Auroc([.. clean], [.. pasted]))} |");
        }
        var scales = kept.ToDictionary(entry => entry.Key, entry => ScaleOf(entry.Value.Clean));
        foreach (string[] joined in new[] { new[] { "model", "error_map" }, ["model", "class_map"], ["model", "error_map", "class_map"] })
        {
            if (!joined.All(kept.ContainsKey)) continue;
            double[][] clean = [.. Enumerable.Range(0, footage.Count).Select(i => Joined(joined, i, isPasted: false))];
            double[][] pasted = [.. Enumerable.Range(0, footage.Count).Select(i => Joined(joined, i, isPasted: true))];
            double auroc = DetectionMetrics.Auroc([.. clean.Select(Strangest)], [.. pasted.Select(Strangest)]);
            Console.WriteLine($"| places of {string.Join(" and ", joined)} | {Text(Precision(pasted))} | {Text(auroc)} |");
        }
        return 0;

        void Look(byte[] picture, bool isPasted)
        {
            using var image = OrtValue.CreateTensorValueFromMemory(picture, [1, size.Height, size.Width, 3]);
            string[] outputs = [.. session.OutputMetadata.Keys.Where(name => name is "scores" or "error_map" or "class_map")];
            using var found = session.Run(run, ["image"], [image], outputs);
            string[] names = session.ModelMetadata.CustomMetadataMap["scores"].Split(',');
            for (int k = 0; k < outputs.Length; k++)
            {
                float[] values = found[k].GetTensorDataAsSpan<float>().ToArray();
                long[] shape = found[k].GetTensorTypeAndShape().Shape;
                if (outputs[k] != "scores") Keep(outputs[k], values, (int)shape[1], (int)shape[2]);
                else for (int j = 0; j < names.Length; j++) Note(names[j], values[j]);
            }
            var network = package.Card.Network;
            byte[] small = new byte[network.Size.Bytes];
            if (decoder.Decode(PictureGrid.Encode(picture, size, 1), small) != FrameError.None)
                throw new InvalidDataException("no picture");
            float[][] own = engine.Compute(small, null, "scores", "error_map");
            Keep("model", own[1], network.ErrorMapHeight, network.ErrorMapWidth);
            for (int j = 0; j < own[0].Length; j++) Note(package.Card.Scores[j], own[0][j]);
            Note("combined of the model", package.Default.Calibration.Combine(own[0]));

            void Keep(string name, float[] values, int rows, int columns)
            {
                if (!kept.TryGetValue(name, out var entry)) kept[name] = entry = ([], [], rows, columns);
                (isPasted ? entry.Pasted : entry.Clean).Add(values);
            }

            void Note(string name, double value)
            {
                if (!scores.TryGetValue(name, out var entry)) scores[name] = entry = ([], []);
                (isPasted ? entry.Pasted : entry.Clean).Add(value);
            }
        }

        void Draw(string file)
        {
            const int Shown = 4;
            var card = ModelPackage.ReadCard(pairs);
            var maps = card.Network.Translation!;
            var second = new SecondCard { Scores = maps.Second!, Classes = maps.Classes, Source = card.Name };
            using var scorer = new SecondScorer(bytes, second, pairs);
            var palette = second.Classes.Select(one => one.Rgb).ToArray();
            var shown = new List<byte>();
            var small = new FrameSize(120, 160);
            for (int k = 0; k < Shown; k++)
            {
                int i = (2 * k + 1) * footage.Count / (2 * Shown);
                byte[] pasted = footage[i];
                corruption.Apply(pasted, size, Severity, Seed, i);
                var view = scorer.Show(pasted, size);
                shown.AddRange(Nearest([.. view.Map.SelectMany(index => Bytes(palette[index]))], view.MapSize, small));
                shown.AddRange(Nearest(view.Drawn, view.DrawnSize, small));
                foreach (string name in new[] { "error_map", "class_map" })
                {
                    var (_, strange, rows, columns) = kept[name];
                    shown.AddRange(PictureGrid.Heat([.. strange[i].Select(value => 2 * value)], rows, columns, small));
                }
            }
            File.WriteAllBytes(file, PictureGrid.Encode([.. shown], small, 4));

            static byte[] Bytes((byte Red, byte Green, byte Blue) rgb) => [rgb.Red, rgb.Green, rgb.Blue];
        }

        static IEnumerable<byte> Nearest(byte[] rgb, FrameSize from, FrameSize to)
        {
            for (int i = 0; i < to.Height * to.Width; i++)
            {
                int at = (i / to.Width * from.Height / to.Height * from.Width + i % to.Width * from.Width / to.Width) * 3;
                for (int c = 0; c < 3; c++) yield return rgb[at + c];
            }
        }

        // A place's values at every fourth pixel in both directions.
        double[] At(float[] cells, int rows, int columns)
        {
            var all = new List<double>();
            for (int y = 0; y < size.Height; y += 4)
            {
                for (int x = 0; x < size.Width; x += 4) all.Add(cells[y * rows / size.Height * columns + x * columns / size.Width]);
            }
            return [.. all];
        }

        double Precision(double[][] places)
        {
            var normal = new List<double>();
            var strange = new List<double>();
            for (int i = 0; i < places.Length; i++)
            {
                int at = 0;
                for (int y = 0; y < size.Height; y += 4)
                {
                    for (int x = 0; x < size.Width; x += 4) (masks[i][y * size.Width + x] > 0 ? strange : normal).Add(places[i][at++]);
                }
            }
            return DetectionMetrics.AveragePrecision([.. normal], [.. strange]);
        }

        // Each by its spread over the clean frames.
        double[] Joined(string[] names, int frame, bool isPasted)
        {
            double[]? sum = null;
            foreach (string name in names)
            {
                var (clean, pasted, rows, columns) = kept[name];
                var (median, spread) = scales[name];
                double[] own = [.. At((isPasted ? pasted : clean)[frame], rows, columns).Select(value => (value - median) / spread)];
                sum = sum is null ? own : [.. sum.Zip(own, (a, b) => a + b)];
            }
            return sum!;
        }

        static (double Median, double Spread) ScaleOf(List<float[]> maps)
        {
            float[] values = [.. maps.SelectMany(row => row).Where((_, i) => i % 37 == 0).Order()];
            return (values[values.Length / 2], values[values.Length * 95 / 100] - values[values.Length / 2]);
        }

        static double Strangest(double[] places) => places.OrderDescending().Take(places.Length / 100).Average();

        string Option(string name) => Array.IndexOf(arguments, name) is >= 0 and var at && at + 1 < arguments.Length
            ? arguments[at + 1] : throw new ArgumentException($"{name} is missing");
    }

    private static string Text(double value) => value.ToString("0.000", CultureInfo.InvariantCulture);
}
