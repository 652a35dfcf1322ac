namespace OutlierPipeline.Frames;

/// <summary>
/// Why a record could not become a frame. The same names stand in the dead letter's <c>error.reason</c>, in the metric's label and in the
/// log.
/// </summary>
public enum FrameError
{
    /// <summary>No error.</summary>
    None = 0,

    /// <summary>The record has no value, or a value of no bytes.</summary>
    Empty,

    /// <summary>
    /// No camera id: the key (or the header configured instead) is missing, empty, over 128 bytes, not UTF-8, or has control characters.
    /// </summary>
    MissingCamera,

    /// <summary>
    /// A header, or the message's own timestamp, is there but cannot be read: a <c>frame-timestamp</c> that is not a decimal number.
    /// </summary>
    InvalidHeader,

    /// <summary>The first bytes are those of no picture.</summary>
    NotAnImage,

    /// <summary>A picture or video of a kind that is not decoded here (H.264, H.265, GIF, BMP …).</summary>
    UnsupportedFormat,

    /// <summary>More bytes or pixels than <see cref="FrameLimits"/> allows; told from the header, before decoding.</summary>
    TooLarge,

    /// <summary>Decoding would take longer than <see cref="FrameLimits.MaxDecodeTime"/>; told from the header, before decoding.</summary>
    TooCostly,

    /// <summary>The picture ends before its last row.</summary>
    Truncated,

    /// <summary>The picture is damaged in another way.</summary>
    Corrupt,

    /// <summary>The frame was scored, but a result of it is larger than its topic takes.</summary>
    ResultTooLarge,

    /// <summary>There are more cameras than <c>Kafka:MaxCameras</c>.</summary>
    TooManyCameras,
}
