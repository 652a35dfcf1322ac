using System.Diagnostics;
using OutlierPipeline.Frames;

namespace OutlierPipeline.Batching;

/// <summary>What a record of a camera is to the stages.</summary>
public enum FrameKind
{
    /// <summary>A picture to be decoded and scored.</summary>
    Picture,

    /// <summary>No picture, or one that cannot be decoded: see <see cref="Frame.Error"/>.</summary>
    Undecodable,

    /// <summary>Too old to be worth scoring (<c>Overload:Policy</c> is <c>SkipStale</c>).</summary>
    Skipped,

    /// <summary>A record without a picture that says that the drive is over (header <c>drive-event: end</c>).</summary>
    DriveEnd,
}

/// <summary>
/// One frame on its way through the stages; owned by exactly one of them at a time. Where it comes from is known to who made it alone.
/// </summary>
public abstract class Frame
{
    /// <summary>The camera's id; null only with <see cref="FrameError.MissingCamera"/>.</summary>
    public string? Camera { get; init; }

    /// <summary>The producer's trace, if it sent one and somebody listens.</summary>
    public ActivityContext Trace { get; init; }

    /// <summary>What is wrong with it, as far as is known by now.</summary>
    public FrameError Error { get; set; }

    /// <summary>What is wrong, in a sentence, where <see cref="Error"/> alone does not say it.</summary>
    public string? ErrorMessage { get; set; }

    /// <summary>See <see cref="FrameKind.DriveEnd"/>.</summary>
    public bool IsDriveEnd { get; init; }

    /// <summary>See <see cref="FrameKind.Skipped"/>.</summary>
    public bool IsSkipped { get; set; }

    /// <summary>What it is by now: a picture may turn out not to be one when it is decoded.</summary>
    public FrameKind Kind => this switch
    {
        { IsDriveEnd: true } => FrameKind.DriveEnd,
        { IsSkipped: true } => FrameKind.Skipped,
        { Error: not FrameError.None } => FrameKind.Undecodable,
        _ => FrameKind.Picture,
    };

    /// <summary>A number that the frame's place in the log alone decides, for rules that choose some of the frames.</summary>
    public abstract ulong Lot { get; }

    /// <summary>False when nobody waits for it any more: the stages drop it.</summary>
    public abstract bool IsCurrent { get; }

    /// <summary>The encoded picture; stays until the frame is done.</summary>
    public abstract ArraySegment<byte> Encoded { get; }
}
