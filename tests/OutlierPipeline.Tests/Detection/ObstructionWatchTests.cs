using System.Buffers;
using OutlierPipeline.Alerts;
using OutlierPipeline.Detection;
using OutlierPipeline.Footage.Simulation;
using OutlierPipeline.Frames;
using OutlierPipeline.Models;
using OutlierPipeline.Tests.Support;

namespace OutlierPipeline.Tests.Detection;

/// <summary>A spot on the lens is found where it is, and nothing where there is none: rendered drives at one frame a second.</summary>
public sealed class ObstructionWatchTests
{
    private const int Before = 60;
    private const int After = 80;

    private static readonly FrameSize Size = new(96, 160);

    [Theory]
    [InlineData(25, 6)]
    [InlineData(235, 6)]
    [InlineData(25, 12)]
    public void A_spot_that_comes_is_found_within_sixty_frames_and_where_it_is(byte level, int percent)
    {
        for (int seed = 1; seed <= 4; seed++)
        {
            byte[][] frames = Drive(seed, Before + After);
            Assert.Null(Play(frames).Watch.Found);
            var (x, y) = Lively(frames, Size);
            for (int i = Before; i < frames.Length; i++) Cover(frames[i], Size, (x, y), level, percent / 100.0);
            var (watch, at) = Play(frames);
            var spot = watch.Found;
            Assert.True(spot is not null, $"drive {seed}: nothing found");
            Assert.InRange(at, Before + 1, Before + 60);
            Assert.InRange(spot.Value.From.Offset, Before - 40, at);
            Assert.InRange((spot.Value.Where.X + spot.Value.Where.Width / 2) * Size.Width, x - 5, x + 5);
            Assert.InRange((spot.Value.Where.Y + spot.Value.Where.Height / 2) * Size.Height, y - 5, y + 5);
            Assert.InRange(spot.Value.Where.Width, 0.5 * percent / 100, 0.3);
        }
    }

    [Fact]
    public void Nothing_is_found_or_learned_while_the_car_stands()
    {
        byte[][] frames = Drive(1, Before);
        byte[] standing = frames[^1];
        byte[][] on = Drive(2, 60);
        var place = Lively([.. frames, .. on], Size);
        // The sensor's noise goes on; the spot comes while nothing moves.
        var random = new Random(3);
        byte[][] parked = [.. Enumerable.Range(0, 300).Select(i =>
        {
            byte[] frame = [.. standing.Select(value => (byte)Math.Clamp(value + random.Next(-2, 3), 0, 255))];
            Cover(frame, Size, place, 235, 0.06);
            return frame;
        })];
        var (watch, _) = Play([.. frames, .. parked]);
        Assert.Null(watch.Found);
        // It drives on: what was learned before it stood still counts.
        foreach (byte[] frame in on) Cover(frame, Size, place, 235, 0.06);
        (watch, int at) = Play([.. frames, .. parked, .. on]);
        Assert.NotNull(watch.Found);
        Assert.InRange(at, Before + 300, Before + 360);
    }

    [Fact]
    public void What_the_mask_leaves_out_is_not_looked_at()
    {
        byte[][] frames = Drive(1, Before + After);
        var (x, y) = Lively(frames, Size);
        byte[] mask = new byte[Size.Width * Size.Height];
        for (int i = 0; i < mask.Length; i++)
            mask[i] = (byte)(Math.Abs(i % Size.Width - x) <= 16 && Math.Abs(i / Size.Width - y) <= 16 ? 0 : 1);
        for (int i = Before; i < frames.Length; i++) Cover(frames[i], Size, (x, y), 235, 0.06);
        Assert.NotNull(Play(frames).Watch.Found);
        Assert.Null(Play(frames, new FrameMask(Size, mask)).Watch.Found);
    }

    [Fact]
    public void The_camera_opens_an_obstruction_that_outlives_a_restart_and_closes_when_the_place_moves_again()
    {
        var package = ModelPackage.Load(Repository.StreetDemo);
        var size = package.Card.Network.Size;
        var detector = new CameraDetector("car-1", package, new DetectionOptions());
        var alerts = new List<AlertStep>();
        byte[][] frames = Drive(1, Before + 400, size);
        var place = Lively(frames, size);
        Observe(0, Before, covered: false);
        Assert.Empty(alerts);
        Observe(Before, 60, covered: true);
        var opened = Assert.Single(alerts);
        Assert.Equal((AlertType.Opened, AlertKind.Obstruction, Severity.Warning), (opened.Type, opened.Kind, opened.Severity));
        Assert.Null(opened.FiredScore);
        Assert.StartsWith("One place of the picture stays as it is", opened.Reason, StringComparison.Ordinal);
        Assert.InRange((opened.Where!.Value.X + opened.Where.Value.Width / 2) * size.Width, place.X - 10, place.X + 10);

        var record = new ArrayBufferWriter<byte>();
        detector.WriteState(record, DateTimeOffset.UnixEpoch);
        detector = new CameraDetector("car-1", package, new DetectionOptions());
        Assert.True(detector.TryRestore(record.WrittenSpan));
        Observe(Before + 60, 120, covered: true);
        Assert.Single(alerts);
        Assert.Equal(opened.Incident, detector.Incident);
        // Frames that expired unread say nothing of the place.
        detector.ObserveLost(Before + 180, Before + 190);
        Observe(Before + 190, 10, covered: true);
        Assert.Single(alerts);
        Assert.Equal(opened.Incident, detector.Incident);
        Observe(Before + 200, 190, covered: false);
        var closed = alerts[1];
        Assert.Equal((AlertType.Closed, CloseReason.Calm, opened.Incident), (closed.Type, closed.Closed, closed.Incident));
        Assert.False(detector.HasOpenIncident);

        void Observe(int first, int count, bool covered)
        {
            float[] scores = [.. package.Default.Calibration.Location.Select(value => (float)value)];
            for (int i = first; i < first + count; i++)
            {
                if (covered) Cover(frames[i], size, place, 235, 0.06);
                detector.Observe(new FrameObservation
                {
                    Frame = new FrameRef("t", 0, i, (i + 1) * 1_000_000_000L),
                    Scores = scores,
                    ErrorMap = new float[package.Card.Network.ErrorMapHeight * package.Card.Network.ErrorMapWidth],
                    Pixels = frames[i],
                }, alerts);
            }
        }
    }

    [Fact]
    public void Fog_after_dirt_is_told_by_its_scores_and_the_dirt_again_when_the_fog_is_gone()
    {
        var package = ModelPackage.Load(Repository.StreetDemo);
        var size = package.Card.Network.Size;
        var detector = new CameraDetector("car-1", package, new DetectionOptions());
        var alerts = new List<AlertStep>();
        byte[][] frames = Drive(1, Before + 400, size);
        var place = Lively(frames, size);
        float[] normal = [.. package.Default.Calibration.Location.Select(value => (float)value)];
        float[] strange = [.. package.Default.Calibration.Location.Zip(package.Default.Calibration.Scale, (centre, spread) =>
            (float)(centre + 50 * spread))];
        Observe(0, Before + 60, normal);
        var dirt = Assert.Single(alerts);
        Assert.Equal((AlertType.Opened, AlertKind.Obstruction), (dirt.Type, dirt.Kind));
        Assert.Null(dirt.FiredScore);
        Observe(Before + 60, 20, strange);
        var fog = alerts[^1];
        Assert.Equal((AlertType.Escalated, dirt.Incident), (fog.Type, fog.Incident));
        Assert.NotNull(fog.FiredScore);
        Observe(Before + 80, 150, normal);
        Assert.Equal(AlertType.Closed, alerts.First(alert => alert.Last.Offset >= Before + 80).Type);
        // The dirt is there still.
        Assert.True(detector.HasOpenIncident);
        Assert.Null(alerts[^1].FiredScore);
        Assert.NotEqual(dirt.Incident, alerts[^1].Incident);

        void Observe(int first, int count, float[] scores)
        {
            for (int i = first; i < first + count; i++)
            {
                if (i >= Before) Cover(frames[i], size, place, 235, 0.06);
                detector.Observe(new FrameObservation
                {
                    Frame = new FrameRef("t", 0, i, (i + 1) * 1_000_000_000L),
                    Scores = scores,
                    ErrorMap = new float[package.Card.Network.ErrorMapHeight * package.Card.Network.ErrorMapWidth],
                    Pixels = frames[i],
                }, alerts);
            }
        }
    }

    [Fact]
    public void Whoever_does_not_want_it_switches_it_off()
    {
        var package = ModelPackage.Load(Repository.StreetDemo);
        byte[][] frames = Drive(1, Before + After, package.Card.Network.Size);
        var place = Lively(frames, package.Card.Network.Size);
        foreach (bool isOn in new[] { true, false })
        {
            var detector = new CameraDetector("car-1", package, new DetectionOptions { Obstructions = isOn });
            var alerts = new List<AlertStep>();
            for (int i = 0; i < frames.Length; i++)
            {
                byte[] frame = [.. frames[i]];
                if (i >= Before) Cover(frame, package.Card.Network.Size, place, 235, 0.06);
                detector.Observe(new FrameObservation
                {
                    Frame = new FrameRef("t", 0, i, (i + 1) * 1_000_000_000L),
                    Scores = [.. package.Default.Calibration.Location.Select(value => (float)value)],
                    ErrorMap = [],
                    Pixels = frame,
                }, alerts);
            }
            Assert.Equal(isOn ? 1 : 0, alerts.Count);
        }
    }

    /// <summary>A spot that does not stand out enough, until the model finds the place strange; strangeness elsewhere says nothing.
    /// </summary>
    [Fact]
    public void A_faint_spot_is_found_where_the_model_finds_the_place_stranger_than_it_was()
    {
        int found = 0;
        for (int seed = 1; seed <= 4; seed++)
        {
            byte[][] frames = Drive(seed, Before + After);
            var (x, y) = Lively(frames, Size);
            for (int i = Before; i < frames.Length; i++) Cover(frames[i], Size, (x, y), 120, 0.06);
            bool isFaint = Play(frames).Watch.Found is null;
            Assert.Null(Play(frames, errors: i => Errors(0, 0, i)).Watch.Found);
            Assert.Null(Play(frames, errors: _ => Errors(x, y, Before)).Watch.Found);
            if (isFaint && Play(frames, errors: i => Errors(x, y, i)).Watch.Found is not null) found++;
        }
        Assert.InRange(found, 2, 4);

        // Four deviations around a place from the spot's first frame on.
        static float[] Errors(int x, int y, int frame)
        {
            int columns = Size.Width / FrameMask.CellSide;
            float[] map = new float[columns * (Size.Height / FrameMask.CellSide)];
            for (int cell = 0; cell < map.Length && frame >= Before; cell++)
            {
                if (Math.Abs(cell % columns - x / FrameMask.CellSide) <= 1 && Math.Abs(cell / columns - y / FrameMask.CellSide) <= 1)
                    map[cell] = 4;
            }
            return map;
        }
    }

    private static (ObstructionWatch Watch, int At) Play(byte[][] frames, FrameMask? mask = null, Func<int, float[]>? errors = null)
    {
        var watch = new ObstructionWatch(Size, mask, new DetectorState { Digest = "" });
        for (int i = 0; i < frames.Length; i++)
        {
            watch.Add(frames[i], errors?.Invoke(i) ?? [], 1, new FrameRef("", 0, i, 0));
            if (watch.Found is not null) return (watch, i);
        }
        return (watch, -1);
    }

    private static byte[][] Drive(int seed, int frames, FrameSize? size = null)
    {
        var scaled = size ?? Size;
        using var camera = new StreetCamera(seed);
        using var decoder = new FrameDecoder(scaled, new FrameLimits());
        return [.. Enumerable.Range(0, frames).Select(i =>
        {
            byte[] rgb = new byte[scaled.Bytes];
            Assert.Equal(FrameError.None, decoder.Decode(camera.Render(i), rgb));
            return rgb;
        })];
    }

    /// <summary>A place, in pixels and away from the edge, that moves in both halves of the frames: it is drawn among all such.</summary>
    private static (int X, int Y) Lively(byte[][] frames, FrameSize size)
    {
        int margin = size.Width / 8;
        var places = Enumerable.Range(0, size.Height * size.Width).Select(i => (X: i % size.Width, Y: i / size.Width))
            .Where(place => place.X >= margin && place.Y >= margin && place.X < size.Width - margin && place.Y < size.Height - margin)
            .Select(place => (place.X, place.Y, Spread: Math.Min(Spread(frames.AsSpan(0, frames.Length / 2), place),
                Spread(frames.AsSpan(frames.Length / 2), place)))).ToList();
        double lively = Math.Max(8, places.Select(place => place.Spread).Order().ElementAt(places.Count / 2));
        var moving = places.Where(place => place.Spread > lively).ToList();
        var chosen = moving[new Random(7).Next(moving.Count)];
        return (chosen.X, chosen.Y);

        double Spread(ReadOnlySpan<byte[]> frames, (int X, int Y) place)
        {
            int at = (place.Y * size.Width + place.X) * 3;
            double sum = 0, squares = 0;
            foreach (byte[] frame in frames) (sum, squares) = (sum + frame[at], squares + frame[at] * frame[at]);
            return Math.Sqrt(squares / frames.Length - sum / frames.Length * (sum / frames.Length));
        }
    }

    /// <summary>A disc of 80 % opacity.</summary>
    private static void Cover(byte[] rgb, FrameSize size, (int X, int Y) place, byte level, double diameter)
    {
        for (int i = 0; i < rgb.Length; i++)
        {
            double x = i / 3 % size.Width + 0.5 - place.X, y = i / 3 / size.Width + 0.5 - place.Y;
            double share = 0.8 * Math.Clamp(diameter * size.Width / 2 - Math.Sqrt(x * x + y * y) + 0.5, 0, 1);
            rgb[i] = (byte)Math.Round(rgb[i] * (1 - share) + level * share);
        }
    }
}
