using System.Text;
using Confluent.Kafka;
using OutlierPipeline.Pipeline;

namespace OutlierPipeline.Tests.Pipeline;

public sealed class CameraKeysTests
{
    [Theory]
    [InlineData("car-1/front")]
    [InlineData("Kamera-Süd")]
    [InlineData("x")]
    public void A_key_of_text_is_the_camera_id_and_the_same_object_every_time(string id)
    {
        var keys = new CameraKeys();
        var first = Read(keys, Encoding.UTF8.GetBytes(id));
        Assert.Equal(id, first.Camera);
        Assert.Equal(Encoding.UTF8.GetBytes(id), first.Bytes);
        Assert.Same(first, Read(keys, Encoding.UTF8.GetBytes(id)));
    }

    [Fact]
    public void A_key_that_is_missing_empty_too_long_or_no_text_names_no_camera_and_keeps_its_bytes()
    {
        var keys = new CameraKeys();
        Assert.Null(keys.Deserialize([], true, SerializationContext.Empty).Camera);
        Assert.Null(Read(keys, []).Camera);
        byte[] tooLong = [.. Enumerable.Repeat((byte)'a', 129)];
        Assert.Null(Read(keys, tooLong).Camera);
        Assert.Equal(tooLong, Read(keys, tooLong).Bytes);
        byte[] notText = [0x66, 0xff, 0xfe];
        Assert.Null(Read(keys, notText).Camera);
        Assert.Equal(notText, Read(keys, notText).Bytes);
        Assert.NotNull(Read(keys, tooLong[..128]).Camera);
    }

    private static CameraKey Read(CameraKeys keys, byte[] bytes) => keys.Deserialize(bytes, false, SerializationContext.Empty);
}
