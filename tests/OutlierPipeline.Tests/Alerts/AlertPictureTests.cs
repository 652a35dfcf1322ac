using OutlierPipeline.Alerts;
using OutlierPipeline.Frames;
using SkiaSharp;

namespace OutlierPipeline.Tests.Alerts;

public sealed class AlertPictureTests
{
    [Fact]
    public void A_picture_that_is_read_from_an_alert_is_blurred()
    {
        byte[] blurred = AlertPicture.Blur(Picture());
        using var picture = SKBitmap.Decode(blurred);
        Assert.Equal((48, 24), (picture.Width, picture.Height));
    }

    [Fact]
    public void A_header_that_promises_more_pixels_than_an_alert_has_is_not_decoded()
    {
        byte[] picture = Picture();
        // The frame header of a JPEG: its marker, a length, the bits of a value, height and width.
        int at = picture.AsSpan().IndexOf((ReadOnlySpan<byte>)[0xff, 0xc0]);
        ((byte[])[0x08, 0xff, 0xc0, 0x00]).CopyTo(picture, at + 5);
        Assert.Equal(FrameError.None, ImageHeader.Read(picture, new FrameLimits
        {
            MaxPixels = long.MaxValue,
            MaxDecodeTime = TimeSpan.MaxValue
        }, out var header));
        Assert.Equal((0xc000, 0x08ff), (header.Width, header.Height));
        Assert.Empty(AlertPicture.Blur(picture));
    }

    private static byte[] Picture() => AlertPicture.EncodeFrame(new byte[48 * 24 * 3], new FrameSize(24, 48));
}
