using static TorchSharp.torch;

namespace OutlierPipeline.Training;

/// <summary>What computes: chosen once, and said.</summary>
internal static class TrainingDevice
{
    /// <param name="name">auto, cpu or cuda.</param>
    /// <exception cref="TrainingException">CUDA was asked for and no device answers.</exception>
    public static Device Choose(string name)
    {
        if (name == "cpu") return CPU;
        string reason = "this libtorch has no CUDA (give --libtorch the folder torch/lib of a PyTorch with CUDA)";
        try
        {
            if (cuda.is_available()) return CUDA;
        }
        catch (Exception e) when (e is NotSupportedException or System.Runtime.InteropServices.ExternalException or DllNotFoundException
            or TypeInitializationException)
        {
            reason = e.Message.ReplaceLineEndings(" ");
        }
        return name == "auto" ? CPU : throw new TrainingException($"--device cuda: no CUDA device answers: {reason}");
    }
}
