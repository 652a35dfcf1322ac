namespace OutlierPipeline.Frames;

/// <summary>What each <see cref="FrameError"/> means, for the dead letter's <c>error.message</c>.</summary>
public static class FrameErrors
{
    public static string Describe(FrameError error) => error switch
    {
        FrameError.None => "no error",
        FrameError.Empty => "the record has no value",
        FrameError.MissingCamera => "the record names no camera",
        FrameError.InvalidHeader => "a header cannot be read",
        FrameError.NotAnImage => "the value does not begin like a picture",
        FrameError.UnsupportedFormat => "the format is not decoded here (JPEG, PNG and WebP are)",
        FrameError.TooLarge => "the picture has more bytes or pixels than Frames:MaxBytes or Frames:MaxPixels allow",
        FrameError.TooCostly => "decoding the picture would take longer than Frames:MaxDecodeTime allows",
        FrameError.Truncated => "the picture ends before its last row",
        FrameError.Corrupt => "the picture is damaged",
        FrameError.ResultTooLarge => "a result of the frame is larger than its topic takes",
        FrameError.TooManyCameras => "there are more cameras than Kafka:MaxCameras allows",
        _ => throw new ArgumentOutOfRangeException(nameof(error), error, "no such error"),
    };
}
