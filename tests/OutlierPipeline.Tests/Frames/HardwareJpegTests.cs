using OutlierPipeline.Frames;
using OutlierPipeline.Tests.Support;

namespace OutlierPipeline.Tests.Frames;

public sealed class HardwareJpegTests
{
    [Theory]
    [InlineData(Subsampling.Yuv444)]
    [InlineData(Subsampling.Yuv422)]
    [InlineData(Subsampling.Yuv420)]
    public void What_cameras_send_is_for_hardware(Subsampling subsampling) =>
        Assert.True(IsForHardware(TurboEncoder.Encode(640, 480, subsampling)));

    [Fact]
    public void Padding_behind_the_end_is_no_hindrance() => Assert.True(IsForHardware([.. TurboEncoder.Encode(64, 48), 0, 0, 0, 0]));

    [Fact]
    public void Progressive_CMYK_grey_and_cut_off_pictures_are_for_the_CPU()
    {
        Assert.False(IsForHardware(TurboEncoder.Encode(640, 480, progressive: true)), "progressive");
        Assert.False(IsForHardware(TurboEncoder.Encode(640, 480, Subsampling.Yuv444, cmyk: true)), "CMYK");
        Assert.False(IsForHardware(TurboEncoder.Encode(640, 480, Subsampling.Grey)), "grey");
        byte[] whole = TurboEncoder.Encode(640, 480);
        for (int length = 0; length < whole.Length; length += 131)
            Assert.False(IsForHardware(whole.AsSpan(0, length)), $"cut off after {length} bytes");
    }

    [Fact]
    public void Colours_other_than_YCbCr_are_for_the_CPU()
    {
        byte[] jpeg = TurboEncoder.Encode(64, 48);
        byte[] adobe = [.. jpeg[..2], 0xff, 0xee, 0, 14, .. "Adobe"u8, 0, 100, 0, 0, 0, 0, 0, .. jpeg[2..]];
        Assert.False(IsForHardware(adobe), "a marker that says RGB");
        int frame = jpeg.AsSpan().IndexOf((ReadOnlySpan<byte>)[0xff, 0xc0]);
        (jpeg[frame + 10], jpeg[frame + 13], jpeg[frame + 16]) = ((byte)'R', (byte)'G', (byte)'B');
        Assert.False(IsForHardware(jpeg), "components called R, G and B");
    }

    private static bool IsForHardware(ReadOnlySpan<byte> jpeg) => JpegFile.Read(jpeg, out var file) == FrameError.None
        && file.IsForHardware;
}
