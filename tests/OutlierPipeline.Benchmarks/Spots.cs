using System.Diagnostics;
using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using OutlierPipeline.Alerts;
using OutlierPipeline.Batching;
using OutlierPipeline.Detection;
using OutlierPipeline.Footage;
using OutlierPipeline.Footage.Simulation;
using OutlierPipeline.Frames;
using OutlierPipeline.Inference;
using OutlierPipeline.Models;

namespace OutlierPipeline.Benchmarks;

/// <summary>
/// <c>spots MODEL [FOOTAGE@FPS …]</c>: windows of normal drives, of the simulated street unless footage is given, once as they are and
/// once for each blob on the lens, which comes in the middle at a place that moves in the clean window. How many are found, after how many
/// frames, and how many are found where there is none. <c>none</c> instead of a model: without its error map.
/// </summary>
internal static class Spots
{
    private const int Drives = 50;
    private const int FirstSeed = 22_000;
    private const double Opacity = 0.8;

    private static readonly (string Name, byte[] Rgb)[] Blobs = [("dark", [25, 25, 25]), ("bright", [230, 230, 225]),
        ("mud", [90, 70, 50])];

    public static async Task<int> RunAsync(string model, string[] arguments)
    {
        using var maps = new ErrorMaps(model);
        foreach (double diameter in (double[])[0.06, 0.12])
        {
            if (arguments.Length == 0)
            {
                foreach (double fps in (double[])[10, 1])
                {
                    var size = maps.Size ?? new FrameSize(96, 160);
                    var tally = new Tally($"{Drives} rendered drives", fps, diameter, maps);
                    for (int drive = 0; drive < Drives; drive++) tally.Watch(Render(FirstSeed + drive, fps, size), size, drive);
                    tally.Print();
                }
            }
            foreach (string argument in arguments)
            {
                int at = argument.LastIndexOf('@');
                double fps = double.Parse(argument[(at + 1)..], CultureInfo.InvariantCulture);
                using var footage = await new FootageLoader().LoadAsync([argument[..at]], (width, height) =>
                    maps.Size ?? new FrameSize((int)Math.Round(160.0 * height / width / 8) * 8, 160), CancellationToken.None);
                var tally = new Tally(Path.GetFileName(Path.TrimEndingDirectorySeparator(argument[..at])), fps, diameter, maps);
                int length = tally.Before + tally.After;
                foreach (var drive in footage.Drives)
                {
                    for (int first = drive.First; first + length <= drive.First + drive.Count; first += length / 2)
                        tally.Watch([.. Enumerable.Range(first, length).Select(i => footage[i])], footage.Size, first);
                }
                tally.Print();
            }
        }
        return 0;
    }

    private static byte[][] Render(int seed, double fps, FrameSize size)
    {
        using var camera = new StreetCamera(seed);
        using var decoder = new FrameDecoder(size, new FrameLimits());
        int frames = Tally.FramesOf(fps).Before + Tally.FramesOf(fps).After;
        return [.. Enumerable.Range(0, frames).Select(i =>
        {
            byte[] rgb = new byte[size.Bytes];
            if (decoder.Decode(camera.Render(i / fps), rgb) != FrameError.None) throw new InvalidDataException("no picture");
            return rgb;
        })];
    }

    private sealed class Tally(string name, double fps, double diameter, ErrorMaps model)
    {
        private readonly List<int?>[] _delays = [.. Blobs.Select(_ => new List<int?>())];
        private int _windows;
        private int _falsely;
        private int _nowhere;
        private long _frames;
        private TimeSpan _time;

        public int Before => FramesOf(fps).Before;

        public int After => FramesOf(fps).After;

        /// <summary>Sixty frames that the watch takes, and eighty after: it takes five a second at most.</summary>
        public static (int Before, int After) FramesOf(double fps) =>
            ((int)Math.Ceiling(60 * Math.Max(1, fps / 5)), (int)Math.Ceiling(80 * Math.Max(1, fps / 5)));

        public void Watch(byte[][] frames, FrameSize size, int seed)
        {
            _windows++;
            float[][] clean = [.. frames.Select(model.Of)];
            if (Play(frames, clean, size, null) is not null) _falsely++;
            for (int blob = 0; blob < Blobs.Length; blob++)
            {
                if (Place(frames, size, seed * 3 + blob) is not { } place)
                {
                    _nowhere++;
                    continue;
                }
                byte[] colour = Blobs[blob].Rgb;
                byte[][] covered = [.. frames.Select((frame, i) => i < Before ? frame : Draw(frame, size, place, colour))];
                int? found = Play(covered, [.. covered.Select((frame, i) => i < Before ? clean[i] : model.Of(frame))], size, place);
                _delays[blob].Add(found - Before);
            }
        }

        public void Print()
        {
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{name}, {fps} frames/s, blob of {100 * diameter:0} % of the width: {_windows} windows, {_falsely} found falsely, " +
                $"{_nowhere} without a place that moves; {_time.TotalMicroseconds / _frames:0} µs a frame"));
            for (int blob = 0; blob < Blobs.Length; blob++)
            {
                int?[] delays = [.. _delays[blob]];
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                    $"  {Blobs[blob].Name,-7} found {delays.Count(delay => delay is not null)} of {delays.Length}, within 60 frames " +
                    $"{delays.Count(delay => delay < 60)}; median {delays.Order().ElementAtOrDefault(delays.Length / 2)} frames"));
            }
        }

        /// <summary>The frame at which a spot is found, there where it is if it is anywhere.</summary>
        private int? Play(byte[][] frames, float[][] errors, FrameSize size, (double X, double Y)? place)
        {
            var state = new DetectorState { Digest = "" };
            var watch = new ObstructionWatch(size, null, state);
            long begun = Stopwatch.GetTimestamp();
            int? at = Find();
            _time += Stopwatch.GetElapsedTime(begun);
            return at;

            int? Find()
            {
                for (int i = 0; i < frames.Length; i++)
                {
                    _frames++;
                    watch.Add(frames[i], errors[i], 1 / fps, new FrameRef("", 0, i, 0));
                    if (watch.Found is not { } spot) continue;
                    if (place is not { } there) return i;
                    bool isThere = Math.Abs((spot.Where.X + spot.Where.Width / 2) * size.Width - there.X) <= 8
                        && Math.Abs((spot.Where.Y + spot.Where.Height / 2) * size.Height - there.Y) <= 8;
                    return isThere ? i : null;
                }
                return null;
            }
        }

        /// <summary>A place, in pixels, that moves before the blob comes and where it is after; null where none does.</summary>
        private (double X, double Y)? Place(byte[][] frames, FrameSize size, int seed)
        {
            var random = new Random(seed);
            float[] first = Spread(frames.AsSpan(0, Before), size), second = Spread(frames.AsSpan(Before), size);
            float lively = Math.Max(8, 0.7f * first.Order().ElementAt(first.Length / 2));
            for (int trial = 0; trial < 1000; trial++)
            {
                int x = random.Next(12, size.Width - 12), y = random.Next(12, size.Height - 12);
                if (first[y * size.Width + x] > lively && second[y * size.Width + x] > lively) return (x, y);
            }
            return null;
        }

        /// <summary>Standard deviation of each pixel in time.</summary>
        private static float[] Spread(ReadOnlySpan<byte[]> frames, FrameSize size)
        {
            float[] spread = new float[size.Width * size.Height];
            for (int i = 0; i < spread.Length; i++)
            {
                double sum = 0, squares = 0;
                foreach (byte[] frame in frames)
                {
                    double value = (frame[3 * i] + frame[3 * i + 1] + frame[3 * i + 2]) / 3.0;
                    (sum, squares) = (sum + value, squares + value * value);
                }
                spread[i] = (float)Math.Sqrt(Math.Max(0, squares / frames.Length - sum * sum / frames.Length / frames.Length));
            }
            return spread;
        }

        private byte[] Draw(byte[] frame, FrameSize size, (double X, double Y) place, byte[] colour)
        {
            byte[] drawn = [.. frame];
            for (int i = 0; i < frame.Length; i++)
            {
                double x = i / 3 % size.Width + 0.5 - place.X, y = i / 3 / size.Width + 0.5 - place.Y;
                double share = Opacity * Math.Clamp(diameter * size.Width / 2 - Math.Sqrt(x * x + y * y) + 0.5, 0, 1);
                drawn[i] = (byte)Math.Round(frame[i] * (1 - share) + colour[i % 3] * share);
            }
            return drawn;
        }
    }

    /// <summary>Error maps as the detector takes them: of a model of features, empty of others.</summary>
    private sealed class ErrorMaps : IDisposable
    {
        private readonly InferenceEngine? _engine;
        private readonly BatchMemory? _batch;

        public ErrorMaps(string model)
        {
            if (model == "none") return;
            _engine = new InferenceEngine(ModelPackage.Load(model), new InferenceOptions(), NullLogger.Instance);
            _batch = _engine.CreateBatch(1);
            _batch.Count = 1;
        }

        public FrameSize? Size => _engine?.Package.Card.Network.Size;

        public float[] Of(byte[] frame)
        {
            if (_engine?.Package.Card.Network.Backbone is null) return [];
            frame.CopyTo(_batch!.WritePixels(0));
            _batch.SetMask(0, null);
            _batch.Run();
            return _batch.ErrorMap(0).ToArray();
        }

        public void Dispose()
        {
            _batch?.Dispose();
            _engine?.Dispose();
        }
    }
}
