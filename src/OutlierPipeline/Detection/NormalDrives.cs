using OutlierPipeline.Models;

namespace OutlierPipeline.Detection;

/// <summary>What a normal drive of a camera scored: a sample of its frames.</summary>
/// <param name="FromNanoseconds">Of its first frame, Unix nanoseconds.</param>
/// <param name="StepSeconds">Between two frames of the sample.</param>
/// <param name="Rows">Of S scores, in time order.</param>
internal sealed record NormalDrive(string Camera, long FromNanoseconds, long ToNanoseconds, double StepSeconds, float[][] Rows);

/// <summary>
/// Gathers what normal drives score, so that the level can be calibrated on them. A drive is a stretch of one camera: it ends at a gap
/// longer than <see cref="DetectionOptions.DriveGap"/>, and after an hour. Time inside incidents is left out, from ten seconds before the
/// strange frames that led to it, and 100 s before it opened at least, until ten seconds after; a drive with more than a tenth of strange
/// frames is no normal one. Not thread-safe.
/// </summary>
/// <param name="judge">The calibration that says what is strange: the one that came with the package, always the same, or each new one
/// would let less pass than the one before.</param>
internal sealed class NormalDrives(Calibration judge, TimeSpan gap)
{
    /// <summary>A frame is strange if its p-value is at most this.</summary>
    public const double StrangeLevel = 0.05;

    /// <summary>The largest share of strange frames of a normal drive.</summary>
    public const double MaxStrange = 0.1;

    /// <summary>Frames of a drive's sample; with more, every second is dropped.</summary>
    public const int MaxSample = 600;

    /// <summary>Drives with a smaller sample say nothing.</summary>
    public const int MinSample = Calibration.MinFrames;

    /// <summary>So many cameras at a time, which bounds memory to a few MiB; further ones come when others' drives end.</summary>
    private const int MaxCameras = 200;

    private const double SampleSeconds = 1;
    private static readonly long Longest = (long)TimeSpan.FromHours(1).TotalNanoseconds;
    private static readonly long Margin = (long)TimeSpan.FromSeconds(10).TotalNanoseconds;

    /// <summary>
    /// Before an incident so much is left out in any case: what covers a place, or has changed, may be no strange level, and takes up to
    /// 80 frames to be found.
    /// </summary>
    private static readonly long RunUp = (long)TimeSpan.FromSeconds(100).TotalNanoseconds;

    private readonly Dictionary<string, Drive> _open = [];

    /// <summary>Drives that were left out for their strange frames.</summary>
    public int StrangeDrives { get; private set; }

    /// <summary>Drives that were left out because too few frames of them are left.</summary>
    public int ShortDrives { get; private set; }

    /// <summary>Takes one frame.</summary>
    /// <param name="isIncident">Whether an incident is open, whatever a person may say of it later.</param>
    /// <param name="arrived">When it came, by whatever clock <see cref="Close(long)"/> is asked by.</param>
    /// <returns>The camera's drive before, where this frame ends one that is normal.</returns>
    public NormalDrive? Add(string camera, long nanoseconds, ReadOnlySpan<float> scores, bool isIncident, long arrived = 0)
    {
        NormalDrive? ended = null;
        if (_open.TryGetValue(camera, out var drive) && drive.IsOver(nanoseconds, gap))
        {
            ended = Close(camera);
            drive = null;
        }
        if (drive is null)
        {
            if (_open.Count >= MaxCameras) return ended;
            _open[camera] = drive = new Drive(nanoseconds, IsStrange);
        }
        drive.Arrived = arrived;
        drive.Add(nanoseconds, scores, isIncident);
        return ended;
    }

    /// <summary>Ends drives whose last frame arrived before a time; all by default.</summary>
    /// <returns>Those that are normal.</returns>
    public IReadOnlyList<NormalDrive> Close(long before = long.MaxValue) =>
        [.. _open.Where(entry => entry.Value.Arrived < before).Select(entry => entry.Key).ToArray().Select(Close).OfType<NormalDrive>()];

    private NormalDrive? Close(string camera)
    {
        _open.Remove(camera, out var drive);
        if (drive!.Sample.Count < MinSample)
        {
            ShortDrives++;
            return null;
        }
        int strange = drive.Sample.Count(frame => IsStrange(frame.Scores));
        if (strange > MaxStrange * drive.Sample.Count)
        {
            StrangeDrives++;
            return null;
        }
        // What an incident cut out makes no step longer.
        double step = Quantiles.Median(drive.Sample.Zip(drive.Sample.Skip(1), (one, next) => (next.Time - one.Time) / 1e9));
        return new NormalDrive(camera, drive.First, drive.Last, step, [.. drive.Sample.Select(frame => frame.Scores)]);
    }

    private bool IsStrange(float[] scores) => judge.PValue(judge.Combine(scores)) <= StrangeLevel;

    private sealed class Drive(long first, Func<float[], bool> isStrange)
    {
        private double _step = SampleSeconds;
        private long _resumes = long.MinValue;

        public List<(long Time, float[] Scores)> Sample { get; } = [];

        public long First { get; } = first;

        public long Arrived { get; set; }

        public long Last { get; private set; } = first;

        /// <summary>Clocks that step back begin another drive too.</summary>
        public bool IsOver(long nanoseconds, TimeSpan gap) =>
            nanoseconds < Last || nanoseconds - Last > gap.TotalNanoseconds || nanoseconds - First > Longest;

        public void Add(long nanoseconds, ReadOnlySpan<float> scores, bool isIncident)
        {
            Last = nanoseconds;
            if (isIncident)
            {
                _resumes = nanoseconds + Margin;
                long began = nanoseconds;
                while (Sample.Count > 0 && Sample[^1].Time > Math.Min(began - Margin, nanoseconds - RunUp))
                {
                    if (isStrange(Sample[^1].Scores)) began = Sample[^1].Time;
                    Sample.RemoveAt(Sample.Count - 1);
                }
                return;
            }
            // A frame a little early is no reason to take every second one.
            if (nanoseconds < _resumes || Sample.Count > 0 && nanoseconds - Sample[^1].Time < 0.95e9 * _step) return;
            foreach (float score in scores)
            {
                if (!float.IsFinite(score)) return;
            }
            Sample.Add((nanoseconds, scores.ToArray()));
            if (Sample.Count < MaxSample) return;
            _step *= 2;
            for (int i = 0; i < MaxSample / 2; i++) Sample[i] = Sample[2 * i];
            Sample.RemoveRange(MaxSample / 2, MaxSample - MaxSample / 2);
        }
    }
}
