namespace OutlierPipeline.Frames;

/// <summary>Why a record could not become a frame. The same names stand in the dead letter's <c>error.reason</c>, in the metric's label and in the log.</summary>
public enum FrameError
{
    /// <summary>No error.</summary>
    None = 0,

    /// <summary>The record has no value, or a value of no bytes.</summary>
    Empty,

    /// <summary>No camera id: the key (or the header configured instead) is missing, empty, over 128 bytes or not UTF-8.</summary>
    MissingCamera,

    /// <summary>A header is there but cannot be read, such as a <c>frame-timestamp</c> that is no decimal number.</summary>
    InvalidHeader,

    /// <summary>The first bytes are those of no picture.</summary>
    NotAnImage,

    /// <summary>A picture or video of a kind that is not decoded here (H.264, H.265, GIF, BMP …).</summary>
    UnsupportedFormat,

    /// <summary>More bytes or pixels than <see cref="FrameLimits"/> allows; told from the header, before decoding.</summary>
    TooLarge,

    /// <summary>The picture ends before its last row.</summary>
    Truncated,

    /// <summary>The picture is damaged in another way.</summary>
    Corrupt,
}
