using Microsoft.ML.OnnxRuntime;
using OutlierPipeline.Training.Networks;
using SkiaSharp;

namespace OutlierPipeline.Training;

/// <summary>Pictures of what the decoder knows: samples from the prior and walks along single dimensions of the code. None shows a frame of the footage.</summary>
internal sealed class Preview(PatchVae network, byte[] decoder)
{
    private const int Columns = 6;
    private const int Rows = 4;

    public void Write(string directory, int seed)
    {
        var random = new Random(seed);
        float[] samples = new float[Rows * Columns * network.Latent];
        for (int i = 0; i < samples.Length; i++) samples[i] = (float)(Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble()));
        Grid(Path.Combine(directory, "samples.png"), samples);
        float[] walks = new float[Rows * Columns * network.Latent];
        for (int row = 0; row < Rows; row++)
        {
            for (int column = 0; column < Columns; column++) walks[(row * Columns + column) * network.Latent + row] = -2.5f + 5f * column / (Columns - 1);
        }
        Grid(Path.Combine(directory, "traversal.png"), walks);
    }

    private void Grid(string file, float[] codes)
    {
        using var session = new InferenceSession(decoder);
        using var options = new RunOptions();
        using var input = OrtValue.CreateTensorValueFromMemory(codes, [Rows * Columns, network.Latent]);
        using var outputs = session.Run(options, ["latent"], [input], ["image"]);
        var pixels = outputs[0].GetTensorDataAsSpan<byte>();
        var size = network.Size;
        using var grid = new SKBitmap(Columns * size.Width, Rows * size.Height, SKColorType.Rgba8888, SKAlphaType.Opaque);
        for (int i = 0; i < Rows * Columns; i++)
        {
            for (int y = 0; y < size.Height; y++)
            {
                for (int x = 0; x < size.Width; x++)
                {
                    var pixel = pixels.Slice(((i * size.Height + y) * size.Width + x) * 3, 3);
                    grid.SetPixel(i % Columns * size.Width + x, i / Columns * size.Height + y, new SKColor(pixel[0], pixel[1], pixel[2]));
                }
            }
        }
        using var png = grid.Encode(SKEncodedImageFormat.Png, 100);
        using var stream = File.Create(file);
        png.SaveTo(stream);
    }
}
