namespace OutlierPipeline.Frames;

/// <summary>The size of a decoded frame, in pixels. A frame of this size is <c>[H, W, 3]</c> uint8, RGB.</summary>
public readonly record struct FrameSize(int Height, int Width)
{
    /// <summary>Bytes of one frame: H · W · 3.</summary>
    public int Bytes => Height * Width * 3;

    public override string ToString() => $"{Width}×{Height}";
}
