using OutlierPipeline.Alerts;
using OutlierPipeline.Batching;
using OutlierPipeline.Detection;
using OutlierPipeline.Evaluation;
using OutlierPipeline.Footage;
using OutlierPipeline.Frames;
using OutlierPipeline.Inference;
using OutlierPipeline.Models;

namespace OutlierPipeline.Cli.Evaluation;

/// <summary>Footage with what the model and the detector said of each frame, each drive watched from its first frame on.</summary>
internal sealed class ScoredSet
{
    /// <inheritdoc cref="FootageScorer.DefaultRate"/>
    public const double DefaultRate = FootageScorer.DefaultRate;

    private ScoredSet(string name, DecodedFootage footage)
    {
        Name = name;
        Footage = footage;
        Scores = new float[footage.Count][];
        Combined = new double[footage.Count];
        Verdicts = new Verdict[footage.Count];
        Profiles = new float[footage.Count][];
        Codes = new float[footage.Count][];
        ErrorMaps = new float[footage.Count][];
    }

    public string Name { get; }

    public DecodedFootage Footage { get; }

    /// <summary>n rows of S.</summary>
    public float[][] Scores { get; }

    public double[] Combined { get; }

    public Verdict[] Verdicts { get; }

    /// <summary>n rows of F, empty ones where the package has no causes.</summary>
    public float[][] Profiles { get; }

    /// <summary>n rows of Z.</summary>
    public float[][] Codes { get; }

    /// <summary>n error maps, <c>[h, w]</c> each.</summary>
    public float[][] ErrorMaps { get; }

    /// <summary>What the incidents that opened looked like, where something was said.</summary>
    public List<string> IncidentCauses { get; } = [];

    /// <summary>Incidents that opened.</summary>
    public int Incidents { get; private set; }

    /// <summary>The same by the test that opened them, in lower case.</summary>
    public SortedDictionary<string, int> IncidentsByTest { get; } = new(StringComparer.Ordinal);

    public double[] Column(int k) => [.. Scores.Select(row => (double)row[k])];

    /// <param name="framesPerSecond">Null for the frames' own times, and <see cref="DefaultRate"/> where they have none.</param>
    public static ScoredSet Of(string name, DecodedFootage footage, FootageScorer scorer, string camera, double? framesPerSecond,
        Action<int> progress, CancellationToken cancellation)
    {
        var set = new ScoredSet(name, footage);
        var model = scorer.Package.For(camera);
        var drives = footage.Drives.SelectMany(drive => Enumerable.Repeat(drive, drive.Count)).ToArray();
        CameraDetector? detector = null;
        var alerts = new List<AlertStep>();
        scorer.Score(footage.Count, footage.Read, model.Mask, (i, batch, slot) =>
        {
            int within = i - drives[i].First;
            if (within == 0) detector = new CameraDetector(camera, scorer.Package, new DetectionOptions());
            set.Scores[i] = batch.Scores(slot).ToArray();
            set.Profiles[i] = batch.Profile(slot).ToArray();
            set.Codes[i] = batch.Latent(slot).ToArray();
            set.ErrorMaps[i] = batch.ErrorMap(slot).ToArray();
            set.Combined[i] = model.Calibration.Combine(batch.Scores(slot));
            set.Verdicts[i] = Observe(detector!, within, framesPerSecond is null && footage.TimeOf(i) is { } time
                ? Nanoseconds(time)
                : Nanoseconds(within, framesPerSecond ?? DefaultRate), batch, slot, alerts);
            foreach (var opened in alerts.Where(alert => alert.Type == AlertType.Opened))
            {
                set.Incidents++;
                if (opened.Cause is { } cause) set.IncidentCauses.Add(cause.Name);
                if (opened.Test is not { } test) continue;
                string name = test == AlertTest.Onset ? "onset" : "level";
                set.IncidentsByTest[name] = set.IncidentsByTest.GetValueOrDefault(name) + 1;
            }
            alerts.Clear();
            progress(i + 1);
        }, cancellation);
        return set;
    }

    /// <summary>The timestamp of a frame of a video; none is 0.</summary>
    public static long Nanoseconds(TimeSpan time) => UnixNanoseconds.Of(time + TimeSpan.FromSeconds(1));

    public static long Nanoseconds(int index, double framesPerSecond) => UnixNanoseconds.OfSeconds((index + 1) / framesPerSecond);

    public static Verdict Observe(CameraDetector detector, int index, long nanoseconds, BatchMemory batch, int slot, List<AlertStep> alerts)
    {
        var frame = new FrameRef("", 0, index, nanoseconds);
        return detector.Observe(new FrameObservation
        {
            Frame = frame,
            Scores = batch.Scores(slot),
            ErrorMap = batch.ErrorMap(slot),
            Profile = batch.Profile(slot),
            Pixels = batch.Pixels(slot)
        }, alerts);
    }

    /// <summary>Frames of each drive before its incident is open; null where none opens.</summary>
    public IEnumerable<int?> Delays()
    {
        foreach (var drive in Footage.Drives)
        {
            int opened = Array.FindIndex(Verdicts, drive.First, drive.Count, verdict => verdict.IsOutlier);
            yield return opened < 0 ? null : opened - drive.First;
        }
    }

    /// <summary>Frame and heat map of one frame, as a JPEG.</summary>
    public byte[] Picture(int index, InferenceEngine engine, FrameMask? mask)
    {
        var network = engine.Package.Card.Network;
        byte[] frame = Footage[index];
        return AlertPicture.Encode(frame, network.Size, engine.Compute(frame, mask, "error_map")[0], network.ErrorMapHeight,
            network.ErrorMapWidth);
    }
}
