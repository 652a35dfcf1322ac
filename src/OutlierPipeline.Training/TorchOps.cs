using OutlierPipeline.Frames;
using static TorchSharp.torch;

namespace OutlierPipeline.Training;

/// <summary>Computes at once, in TorchSharp.</summary>
/// <param name="compute">What the weights are turned into for computing, they themselves staying float32.</param>
public sealed class TorchOps(IReadOnlyDictionary<string, Tensor> weights, Device device, ScalarType compute = ScalarType.Float32) : TensorOps<Tensor>
{
    /// <summary>Frames as the network takes them: <c>[n, 3, H, W]</c>, from −0.5 to 0.5.</summary>
    public static Tensor Normalised(Footage footage, int[] indices, Device device)
    {
        int bytes = footage.Size.Bytes;
        byte[] pixels = new byte[indices.Length * bytes];
        for (int i = 0; i < indices.Length; i++) footage.Read(indices[i], pixels.AsSpan(i * bytes, bytes));
        return tensor(pixels, [indices.Length, footage.Size.Height, footage.Size.Width, 3]).to(device).permute(0, 3, 1, 2).to(float32) / 255 - 0.5;
    }

    public override Tensor Weight(string name) => compute == ScalarType.Float32 || name == Networks.PatchNetwork.Fill ? weights[name] : weights[name].to(compute);

    public override Tensor Constant(float[] values, params long[] shape) => shape.Length == 0 && values.Length == 1 ? tensor(values[0], device: device) : tensor(values, shape, device: device);

    public override Tensor Add(Tensor a, Tensor b) => a + b;

    public override Tensor Subtract(Tensor a, Tensor b) => a - b;

    public override Tensor Multiply(Tensor a, Tensor b) => a * b;

    public override Tensor Divide(Tensor a, Tensor b) => a / b;

    public override Tensor LeakyRelu(Tensor x) => nn.functional.leaky_relu(x, 0.1);

    public override Tensor Log(Tensor x) => x.log();

    public override Tensor Exp(Tensor x) => x.exp();

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

    public override Tensor Slice(Tensor x, int dimension, long first, long count) => x.narrow(dimension, first, count);

    public override Tensor SwapLast(Tensor x) => x.transpose(-2, -1);

    public override Tensor Concat(params Tensor[] parts) => cat(parts, 1);
}
