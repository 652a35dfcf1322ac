using OutlierPipeline.Footage;
using OutlierPipeline.Frames;
using OutlierPipeline.Models;
using OutlierPipeline.Training;
using OutlierPipeline.Training.Networks;

namespace OutlierPipeline.Tests.Training;

/// <summary>Networks and runs small enough for a test.</summary>
internal static class SmallTraining
{
    public static readonly FrameSize Size = new(48, 80);

    public static TrainingSettings Settings(string architecture = "vae", int epochs = 2, int batch = 16, int seed = 3,
        int patience = 1000) => new()
        {
            Architecture = Architecture.Named(architecture),
            Epochs = epochs,
            Batch = batch,
            Seed = seed,
            Beta = Architecture.Named(architecture).Beta,
            Patience = patience,
        };

    public static PatchNetwork Network(TrainingSettings settings, int latent = 8) => new(Size, latent, settings.Architecture.IsVariational);

    /// <summary>A trainer whose last tenth of the footage chooses the epoch.</summary>
    public static Trainer Trainer(DecodedFootage footage, TrainingSettings settings, string checkpoint, FrameMask? mask = null,
        int latent = 8)
    {
        TorchSharp.torch.set_num_threads(2);
        var parts = footage.SplitByTime(0.9, 0.1);
        return new Trainer(Network(settings, latent), parts[0], parts[1], mask, settings, checkpoint);
    }

    /// <summary>Only the lower half counts.</summary>
    public static FrameMask LowerHalf(FrameSize size)
    {
        byte[] pixels = new byte[size.Height * size.Width];
        Array.Fill(pixels, (byte)1, pixels.Length / 2, pixels.Length / 2);
        return new FrameMask(size, pixels);
    }
}
