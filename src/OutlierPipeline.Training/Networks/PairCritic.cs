namespace OutlierPipeline.Training.Networks;

/// <summary>
/// Tells pairs of which both sides are real from pairs of which one was made of the other, for each patch: four convolutions, a
/// verdict for every eighth or fourth place.
/// </summary>
/// <param name="given">Channels of what a pair is made of.</param>
/// <param name="made">Channels of what is made.</param>
/// <param name="isGivenHalf">Whether what is given has half as many places in each direction as what is made.</param>
/// <remarks>PatchGAN: Isola, Zhu, Zhou and Efros, Image-to-Image Translation with Conditional Adversarial Networks, CVPR 2017; without
/// batch normalisation.</remarks>
public sealed class PairCritic(int given, int made, bool isGivenHalf)
{
    private const int First = 32;
    private const int Further = 64;

    /// <inheritdoc cref="PictureGenerator.Weights"/>
    public IEnumerable<(string Name, long[] Shape, long FanIn)> Weights()
    {
        int side = isGivenHalf ? 1 : 4;
        // Both sides are summed, as one convolution over their channels side by side would: each begins with half of the variance.
        return
        [
            ("given.weight", [First, given, side, side], 2L * given * side * side), ("given.bias", [First], 0),
            ("made.weight", [First, made, 4, 4], 2L * made * 16), ("made.bias", [First], 0),
            ("see2.weight", [Further, First, 4, 4], 16 * First), ("see2.bias", [Further], 0),
            ("see3.weight", [Further, Further, 3, 3], 9 * Further), ("see3.bias", [Further], 0),
            ("judge.weight", [1, Further, 3, 3], 9 * Further), ("judge.bias", [1], 0),
        ];
    }

    /// <summary>A verdict for each patch, <c>[N, 1, h, w]</c>: positive for pairs of which both sides are real.</summary>
    /// <param name="made"><c>[N, made, H, W]</c>, from 0 to 1.</param>
    /// <param name="given"><c>[N, given, H, W]</c>, or half of these sides.</param>
    public T Judge<T>(TensorOps<T> ops, T made, T given)
    {
        var h = ops.Add(Conv(ops.Subtract(ops.Add(made, made), ops.Constant(1)), "made", 2),
            isGivenHalf ? ops.Conv(given, ops.Weight("given.weight"), ops.Weight("given.bias"), 1, 0) : Conv(given, "given", 2));
        h = Conv(ops.LeakyRelu(h), "see2", 2);
        h = Conv(ops.LeakyRelu(h), "see3", 1);
        return Conv(ops.LeakyRelu(h), "judge", 1);

        T Conv(T planes, string layer, int stride) =>
            ops.Conv(planes, ops.Weight(layer + ".weight"), ops.Weight(layer + ".bias"), stride, 1);
    }
}
