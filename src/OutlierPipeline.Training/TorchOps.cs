using OutlierPipeline.Footage;
using OutlierPipeline.Frames;
using static TorchSharp.torch;

namespace OutlierPipeline.Training;

/// <summary>Computes at once, in TorchSharp.</summary>
/// <param name="compute">What the weights are turned into for computing, they themselves staying float32.</param>
public sealed class TorchOps(IReadOnlyDictionary<string, Tensor> weights, Device device, ScalarType compute = ScalarType.Float32)
    : TensorOps<Tensor>
{
    /// <summary>Frames in grey levels, <c>[n, H, W, 3]</c> float32.</summary>
    public static Tensor Pixels(DecodedFootage footage, int[] indices, Device device)
    {
        int bytes = footage.Size.Bytes;
        byte[] pixels = new byte[indices.Length * bytes];
        for (int i = 0; i < indices.Length; i++) footage.Read(indices[i], pixels.AsSpan(i * bytes, bytes));
        return tensor(pixels, [indices.Length, footage.Size.Height, footage.Size.Width, 3]).to(device).to(float32);
    }

    public override Tensor Weight(string name) => compute == ScalarType.Float32 || name == Networks.PatchNetwork.Fill
        ? weights[name]
        : weights[name].to(compute);

    public override Tensor Constant(float[] values, params long[] shape) =>
        shape.Length == 0 && values.Length == 1 ? tensor(values[0], device: device) : tensor(values, shape, device: device);

    public override Tensor ToFloat(Tensor x) => x.to(ScalarType.Float32);

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

    public override Tensor MatMul(Tensor a, Tensor b) => a.matmul(b);

    public override Tensor Dense(Tensor rows, Tensor weight, Tensor bias) => rows.matmul(weight) + bias;

    public override Tensor PixelShuffle(Tensor x, int factor) => nn.functional.pixel_shuffle(x, factor);

    public override Tensor Enlarge(Tensor planes, int factor, long rows, long columns) =>
        nn.functional.interpolate(planes, [planes.shape[2] * factor, planes.shape[3] * factor], mode: InterpolationMode.Nearest)
            .narrow(2, 0, rows).narrow(3, 0, columns);

    public override Tensor Smooth(Tensor planes, int factor) => nn.functional.interpolate(planes,
        [planes.shape[2] * factor, planes.shape[3] * factor], mode: InterpolationMode.Bilinear, align_corners: false);

    public override Tensor ToPatches(Tensor x, FrameSize size, int channels, int side) =>
        x.reshape(-1, size.Height / side, side, size.Width / side, side * channels).transpose(2, 3).reshape(-1, side * side * channels);

    public override Tensor FromPatches(Tensor rows, FrameSize size, int channels, int side) =>
        rows.reshape(-1, size.Height / side, size.Width / side, side, side * channels).transpose(2, 3).reshape(-1, size.Height,
        size.Width, channels);

    public override Tensor ToPlanes(Tensor rows, long channels, long height, long width) =>
        rows.reshape(-1, height, width, channels).permute(0, 3, 1, 2);

    public override Tensor ToRows(Tensor planes, long channels) => planes.permute(0, 2, 3, 1).reshape(-1, channels);

    public override Tensor Reshape(Tensor x, params long[] rowShape) => x.reshape([-1, .. rowShape]);

    public override Tensor SumLast(Tensor x) => x.sum([-1], keepdim: true);

    public override Tensor MaxLast(Tensor x) => x.amax([-1], keepdim: true);

    public override Tensor TopMean(Tensor x, int count) => x.topk(count, -1).values.mean([-1], keepdim: true);

    public override Tensor Slice(Tensor x, long first, long count) => x.narrow(-1, first, count);

    public override Tensor Concat(params Tensor[] parts) => cat(parts, -1);
}
