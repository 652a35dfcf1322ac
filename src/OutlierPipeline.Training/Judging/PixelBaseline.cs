using OutlierPipeline.Evaluation;
using OutlierPipeline.Footage;
using OutlierPipeline.Frames;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace OutlierPipeline.Training.Judging;

/// <summary>Two detectors of the literature, VAEs of pixels, trained on the same frames as a package of ours.</summary>
internal static class PixelBaseline
{
    private const int Batch = 32;

    /// <summary>Frames that a run looks at, all epochs together.</summary>
    private const int Budget = 20_000;

    /// <summary>A VAE of one dense layer of 512 units and a code of 2; its score is the mean squared error.</summary>
    /// <remarks>Stocco, Weiss, Calzana and Tonella, Misbehaviour Prediction for Autonomous Driving Systems, ICSE 2020.</remarks>
    public static FrameDetector SelfOracle(DecodedFootage footage, CancellationToken cancellation)
    {
        int pixels = footage.Size.Bytes;
        return Train("SelfOracle", footage, Sequential(Flatten(), Linear(pixels, 512), ReLU()), Linear(512, 2), Linear(512, 2),
            Sequential(Linear(2, 512), ReLU(), Linear(512, pixels), Sigmoid()), 1, cancellation);
    }

    /// <summary>
    /// A convolutional VAE of four layers of 32 to 256 channels, its code of 1024 cut to 256 for the size of these pictures. Its score, the
    /// nonconformity, is the squared error averaged over ten samples of the code; the martingale on top ranks frames no differently.
    /// </summary>
    /// <remarks>Cai and Koutsoukos, Real-time Out-of-distribution Detection in Learning-Enabled CPS, ICCPS 2020.</remarks>
    public static FrameDetector Icad(DecodedFootage footage, CancellationToken cancellation)
    {
        // Four halvings, and sides that they do not divide are enlarged to those that they do.
        var (height, width) = ((footage.Size.Height + 15) / 16, (footage.Size.Width + 15) / 16);
        int corner = 256 * height * width;
        var whole = Upsample([(long)height * 16, (long)width * 16], mode: UpsampleMode.Bilinear, align_corners: false);
        var back = Upsample([(long)footage.Size.Height, (long)footage.Size.Width], mode: UpsampleMode.Bilinear, align_corners: false);
        return Train("VAE + ICAD", footage,
            Sequential(whole, Conv2d(3, 32, 3, 2, 1), ELU(), Conv2d(32, 64, 3, 2, 1), ELU(), Conv2d(64, 128, 3, 2, 1), ELU(),
                Conv2d(128, 256, 3, 2, 1), ELU(), Flatten()),
            Linear(corner, 256), Linear(corner, 256),
            Sequential(Linear(256, corner), ELU(), Unflatten(1, [256, height, width]), ConvTranspose2d(256, 128, 4, 2, 1), ELU(),
                ConvTranspose2d(128, 64, 4, 2, 1), ELU(), ConvTranspose2d(64, 32, 4, 2, 1), ELU(), ConvTranspose2d(32, 3, 4, 2, 1),
                Sigmoid(), back, Flatten()),
            10, cancellation);
    }

    /// <summary>Trains a VAE on squared error and divergence.</summary>
    private static FrameDetector Train(string name, DecodedFootage footage, Module<Tensor, Tensor> encoder, Module<Tensor, Tensor> mean,
        Module<Tensor, Tensor> logVariance, Module<Tensor, Tensor> decoder, int samples, CancellationToken cancellation)
    {
        manual_seed(1);
        Module<Tensor, Tensor>[] modules = [encoder, mean, logVariance, decoder];
        using var optimizer = optim.Adam(modules.SelectMany(module => module.parameters()), 1e-3);
        var random = new Random(1);
        for (int step = 0; step < Budget / Batch; step++)
        {
            cancellation.ThrowIfCancellationRequested();
            Uncollected.Run(Step);
        }
        return FrameDetector.Of(name, footage.Size.Bytes, Batch, chunk =>
        {
            using var off = no_grad();
            manual_seed(2);
            return Uncollected.Run(() => Score(chunk));
        });

        bool Step()
        {
            using var scope = NewDisposeScope();
            var x = Frames([.. Enumerable.Range(0, Batch).Select(_ => footage[random.Next(footage.Count)])], footage.Size);
            optimizer.zero_grad();
            var h = encoder.call(x);
            var m = mean.call(h);
            var v = logVariance.call(h).clamp(-10, 10);
            var drawn = decoder.call(m + (v * 0.5).exp() * randn_like(m));
            var loss = (x.flatten(1) - drawn).pow(2).sum(1).mean() + 0.5 * (m.pow(2) + v.exp() - 1 - v).sum(1).mean();
            loss.backward();
            optimizer.step();
            return true;
        }

        double[] Score(byte[][] chunk)
        {
            using var scope = NewDisposeScope();
            var x = Frames(chunk, footage.Size);
            var h = encoder.call(x);
            var m = mean.call(h);
            var v = logVariance.call(h).clamp(-10, 10);
            double[] errors = new double[chunk.Length];
            for (int s = 0; s < samples; s++)
            {
                var code = samples == 1 ? m : m + (v * 0.5).exp() * randn_like(m);
                float[] one = (x.flatten(1) - decoder.call(code)).pow(2).mean([1L]).data<float>().ToArray();
                for (int i = 0; i < one.Length; i++) errors[i] += one[i] / samples;
            }
            return errors;
        }
    }

    private static Tensor Frames(byte[][] frames, FrameSize size) =>
        tensor(frames.SelectMany(frame => frame).ToArray(), [frames.Length, size.Height, size.Width, 3]).permute(0, 3, 1,
        2).to(float32) / 255;
}
