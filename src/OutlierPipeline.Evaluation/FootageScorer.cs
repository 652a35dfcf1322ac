using OutlierPipeline.Batching;
using OutlierPipeline.Detection;
using OutlierPipeline.Footage;
using OutlierPipeline.Frames;
using OutlierPipeline.Inference;
using OutlierPipeline.Models;

namespace OutlierPipeline.Evaluation;

/// <summary>Puts many frames through an engine in batches; what the service does, without Kafka.</summary>
public sealed class FootageScorer : IDisposable
{
    /// <summary>Frames a second of footage that does not say when its frames were taken.</summary>
    public const double DefaultRate = 10;

    private readonly InferenceEngine _engine;
    private readonly BatchMemory _batch;

    public FootageScorer(InferenceEngine engine, int batchSize = 16)
    {
        _engine = engine;
        _batch = engine.CreateBatch(batchSize);
    }

    /// <summary>Draws or reads one frame, <c>[H, W, 3]</c> uint8, RGB.</summary>
    public delegate void Fill(int index, Span<byte> rgb);

    /// <summary>Looks at one scored frame: scores, error map, code and pixels of the batch's slot.</summary>
    public delegate void Visit(int index, BatchMemory batch, int slot);

    public ModelPackage Package => _engine.Package;

    /// <param name="mask">Region of interest of all frames, or null.</param>
    public void Score(int count, Fill fill, FrameMask? mask, Visit visit, CancellationToken cancellation)
    {
        for (int first = 0; first < count; first += _batch.Capacity)
        {
            cancellation.ThrowIfCancellationRequested();
            _batch.Count = Math.Min(_batch.Capacity, count - first);
            for (int slot = 0; slot < _batch.Count; slot++)
            {
                fill(first + slot, _batch.WritePixels(slot));
                _batch.SetMask(slot, mask);
            }
            _batch.Run();
            for (int slot = 0; slot < _batch.Count; slot++) visit(first + slot, _batch, slot);
        }
    }

    /// <summary>The frames' scores, n rows of S.</summary>
    public float[][] Score(DecodedFootage footage, FrameMask? mask, CancellationToken cancellation)
    {
        float[][] rows = new float[footage.Count][];
        Score(footage.Count, footage.Read, mask, (i, batch, slot) => rows[i] = batch.Scores(slot).ToArray(), cancellation);
        return rows;
    }

    /// <summary>The frames' scores, n rows of S, codes, n rows of Z, and which of them show what no earlier one does.</summary>
    public (float[][] Scores, float[][] Codes, bool[] IsNew) ScoreAndEncode(DecodedFootage footage, FrameMask? mask,
        CancellationToken cancellation)
    {
        float[][] rows = new float[footage.Count][];
        float[][] codes = new float[footage.Count][];
        bool[] isNew = new bool[footage.Count];
        var scenes = new SceneMemory(footage.Size, mask);
        Score(footage.Count, footage.Read, mask, (i, batch, slot) =>
        {
            rows[i] = batch.Scores(slot).ToArray();
            codes[i] = batch.Latent(slot).ToArray();
            isNew[i] = scenes.IsNew(batch.Pixels(slot));
        }, cancellation);
        return (rows, codes, isNew);
    }

    /// <summary>Calibrates on normal frames that fitted nothing else.</summary>
    /// <param name="combines">Names of the scores that the combined one is made of.</param>
    /// <param name="watches">Names of those that the onset test watches; null for the same.</param>
    /// <param name="more">Further rows that say how far scores spread.</param>
    /// <param name="framesPerSecond">Of the footage; null for the frames' own times, and <see cref="DefaultRate"/> without.</param>
    /// <exception cref="FootageException">There are too few.</exception>
    public Calibration Calibrate(DecodedFootage footage, FrameMask? mask, IReadOnlyList<string> combines,
        IReadOnlyList<string>? watches, IReadOnlyList<float[]> more, double? framesPerSecond, CancellationToken cancellation)
    {
        if (footage.Count < Calibration.MinFrames)
            throw new FootageException(
                $"{footage.Count} frames are too few to calibrate with: at least {Calibration.MinFrames} are needed");
        var (rows, codes, isNew) = ScoreAndEncode(footage, mask, cancellation);
        int[] drives = [.. footage.Drives.Select(drive => drive.Count)];
        var calibration = Calibration.Fit(Package.Card.Scores, combines, rows, drives, more, isNew);
        return calibration with
        {
            LatentMap = LatentMap.Fit(codes),
            Code = CodeCalibration.Fit(calibration.Scores, codes),
            Onset = OnsetFit.Fit(calibration, watches, rows, drives, RateOf(footage, framesPerSecond), OnsetCalibration.OfCalibration)
        };
    }

    /// <summary>Frames a second that footage is taken to have.</summary>
    public static double RateOf(DecodedFootage footage, double? stated) => stated ?? footage.FramesPerSecond ?? DefaultRate;

    public void Dispose() => _batch.Dispose();
}
