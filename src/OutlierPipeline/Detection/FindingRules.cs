using OutlierPipeline.Alerts;
using OutlierPipeline.Models;

namespace OutlierPipeline.Detection;

/// <summary>Says what kind of incident a scored frame speaks for, if any, and by which score and place.</summary>
/// <param name="spots">Null where nobody watches for what covers the picture.</param>
internal sealed class FindingRules(DetectorState state, Evidence evidence, ObstructionWatch? spots, Calibration calibration, ModelCard card,
    TimeSpan frozenAfter)
{
    /// <summary>Mean of all channels below which a strange picture is a dark one.</summary>
    private const double DarkLevel = 16;

    private const int FrozenFrames = 5;

    private FrozenWatch _frozen;

    /// <param name="at">The frame, with the camera's time without the faults of its clock.</param>
    public Finding Find(in FrameObservation frame, FrameRef at, OnsetFigures? onset)
    {
        var where = PictureRegion.Strangest(frame.ErrorMap, card.Network);
        // Stored scores are observed without their pictures.
        if (!frame.Pixels.IsEmpty && IsFrozen(at, frame.Pixels))
        {
            evidence.DenyCalm();
            return new Finding(AlertKind.Frozen, null, state.PictureFrom, null, where);
        }
        if (!evidence.IsEnough)
        {
            return spots?.Found is { } spot
                ? new Finding(AlertKind.Obstruction, null, spot.From, null, spot.Where)
                : new Finding(null, null, state.EvidenceFrom, null, where);
        }
        var test = evidence.Test;
        bool isOnset = test == AlertTest.Onset && onset is not null;
        int fired = isOnset ? onset!.Value.Fired : Strangest(frame.Scores);
        string score = calibration.Scores[fired];
        var kind = !frame.Pixels.IsEmpty && MeanLevel(frame.Pixels) < DarkLevel ? AlertKind.Dark
            : spots?.IsPresent == true || evidence.StaysInPlace && card.IsLocal(score) ? AlertKind.Obstruction
            : AlertKind.Scene;
        return new Finding(kind, score, evidence.From(at), isOnset ? onset!.Value.Strangeness
            : calibration.Standardise(fired, frame.Scores[fired]), where, test);
    }

    private bool IsFrozen(FrameRef frame, ReadOnlySpan<byte> pixels)
    {
        ulong picture = state.Picture;
        bool isSame = _frozen.IsSame(pixels, ref picture);
        state.Picture = picture;
        if (!isSame || state.PictureFrom is not { } from)
        {
            state.PictureFrom = frame;
            state.PictureFrames = 1;
            return false;
        }
        state.PictureFrames++;
        return state.PictureFrames >= FrozenFrames && frame.Since(from) >= frozenAfter;
    }

    /// <summary>The score of the combination that is strangest on its own.</summary>
    private int Strangest(ReadOnlySpan<float> scores)
    {
        int strangest = calibration.Combining[0];
        foreach (int k in calibration.Combining)
        {
            if (!(calibration.Standardise(k, scores[k]) <= calibration.Standardise(strangest, scores[strangest]))) strangest = k;
        }
        return strangest;
    }

    private static double MeanLevel(ReadOnlySpan<byte> pixels)
    {
        long sum = 0;
        foreach (byte value in pixels) sum += value;
        return pixels.IsEmpty ? 0 : (double)sum / pixels.Length;
    }
}
