using OutlierPipeline.Frames;

namespace OutlierPipeline.Training.Networks;

/// <summary>Tells frames from drawn pictures: four convolutions that halve the resolution, and a dense layer.</summary>
/// <remarks>Radford, Metz and Chintala, ICLR 2016, without batch normalisation.</remarks>
public sealed class Critic(FrameSize size)
{
    private static readonly int[] Channels = [3, 16, 32, 64, 128];
    private readonly long _last = Channels[4] * (size.Height / 16) * (size.Width / 16);

    /// <inheritdoc cref="PictureGenerator.Weights"/>
    public IEnumerable<(string Name, long[] Shape, long FanIn)> Weights() =>
    [
        .. Enumerable.Range(1, 4).SelectMany(k => new (string, long[], long)[]
        {
            ($"see{k}.weight", [Channels[k], Channels[k - 1], 4, 4], 16 * Channels[k - 1]), ($"see{k}.bias", [Channels[k]], 0),
        }),
        ("judge.weight", [_last, 1], _last), ("judge.bias", [1], 0),
    ];

    /// <summary>Multiplications and additions of one picture, counted as two.</summary>
    public long FlopsPerPicture() => 2 * _last + 2 * Enumerable.Range(1, 4).Sum(k =>
        16L * Channels[k - 1] * Channels[k] * (size.Height >> k) * (size.Width >> k));

    /// <summary>What the last but one convolution sees, <c>[N, 64, H/8, W/8]</c>, and the verdict, <c>[N, 1]</c>: positive for frames.
    /// </summary>
    /// <param name="planes">Red, green and blue from 0 to 1, <c>[N, 3, H, W]</c>.</param>
    public (T Seen, T Verdict) Judge<T>(TensorOps<T> ops, T planes)
    {
        var h = ops.Subtract(ops.Add(planes, planes), ops.Constant(1));
        var seen = h;
        for (int k = 1; k <= 4; k++)
        {
            h = ops.LeakyRelu(ops.Conv(h, ops.Weight($"see{k}.weight"), ops.Weight($"see{k}.bias"), 2, 1));
            if (k == 3) seen = h;
        }
        return (seen, ops.Dense(ops.Reshape(h, _last), ops.Weight("judge.weight"), ops.Weight("judge.bias")));
    }
}
