using static TorchSharp.torch;

namespace OutlierPipeline.Training;

/// <summary>Computes at once, in TorchSharp.</summary>
public sealed class TorchOps(IReadOnlyDictionary<string, Tensor> weights, Device device) : TensorOps<Tensor>
{
    public override Tensor Weight(string name) => weights[name];

    public override Tensor Constant(float[] values, params long[] shape) => shape.Length == 0 && values.Length == 1 ? tensor(values[0], device: device) : tensor(values, shape, device: device);

    public override Tensor Add(Tensor a, Tensor b) => a + b;

    public override Tensor Subtract(Tensor a, Tensor b) => a - b;

    public override Tensor Multiply(Tensor a, Tensor b) => a * b;

    public override Tensor Divide(Tensor a, Tensor b) => a / b;

    public override Tensor LeakyRelu(Tensor x) => nn.functional.leaky_relu(x, 0.1);

    public override Tensor Log(Tensor x) => x.log();

    public override Tensor Exp(Tensor x) => x.exp();

    public override Tensor Abs(Tensor x) => x.abs();

    public override Tensor Sqrt(Tensor x) => x.sqrt();

    public override Tensor Clip(Tensor x, float low, float high) => x.clamp(low, high);

    public override Tensor Conv(Tensor x, Tensor weight, Tensor bias, int stride, int padding) =>
        nn.functional.conv2d(x, weight, bias, strides: [stride, stride], padding: [padding, padding]);

    public override Tensor MatMul(Tensor x, Tensor weight) => x.matmul(weight);

    public override Tensor PixelShuffle(Tensor x, int factor) => nn.functional.pixel_shuffle(x, factor);

    public override Tensor AveragePool(Tensor x, int size) => nn.functional.avg_pool2d(x, size, size);

    public override Tensor Reshape(Tensor x, params long[] frameShape) => x.reshape([x.shape[0], .. frameShape]);

    public override Tensor Mean(Tensor x, params int[] dimensions) => x.mean([.. dimensions.Select(dimension => (long)dimension)]);

    public override Tensor SumLast(Tensor x) => x.sum([-1], keepdim: true);

    public override Tensor MaxLast(Tensor x) => x.amax([-1], keepdim: true);

    public override Tensor SortLast(Tensor x, int length) => x.sort(-1).Values;

    public override Tensor Slice(Tensor x, int dimension, long first, long count) => x.narrow(dimension, first, count);

    public override Tensor GatherLast(Tensor x, long[] indices) => x.index_select(-1, tensor(indices, device: device));

    public override Tensor Concat(params Tensor[] parts) => cat(parts, 1);
}
