using Microsoft.ML.OnnxRuntime;
using OutlierPipeline.Training.Networks;
using SkiaSharp;

namespace OutlierPipeline.Training;

/// <summary>
/// Pictures of what the model knows: how it draws calibration frames, samples from the prior, walks along single dimensions of the code, and
/// the error map of a box in the picture. All are the model's own output: none shows a frame of the footage, which may not be ours to give away.
/// </summary>
internal sealed class Preview(PatchVae network, byte[] model, byte[] decoder)
{
    private const int Columns = 6;
    private const int Rows = 4;

    public void Write(string directory, Footage footage, int seed)
    {
        var size = network.Size;
        byte[] frames = new byte[Rows * Columns * size.Bytes];
        for (int i = 0; i < Rows * Columns; i++) footage[i * (footage.Frames - 1) / (Rows * Columns - 1)].CopyTo(frames.AsSpan(i * size.Bytes));
        Run(model, "image", "reconstruction", Image(frames), pixels => Save(Path.Combine(directory, "reconstructions.png"), pixels.GetTensorDataAsSpan<byte>()));
        PasteBoxes(frames);
        Run(model, "image", "error_map", Image(frames), maps => Save(Path.Combine(directory, "error-map.png"), Heat(maps.GetTensorDataAsSpan<float>())));
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
        using var input = OrtValue.CreateTensorValueFromMemory(codes, [Rows * Columns, network.Latent]);
        Run(decoder, "latent", "image", input, pixels => Save(file, pixels.GetTensorDataAsSpan<byte>()));
    }

    private OrtValue Image(byte[] frames) => OrtValue.CreateTensorValueFromMemory(frames, [Rows * Columns, network.Size.Height, network.Size.Width, 3]);

    private static void Run(byte[] graph, string input, string output, OrtValue value, Action<OrtValue> use)
    {
        using var session = new InferenceSession(graph);
        using var options = new RunOptions();
        using var outputs = session.Run(options, [input], [value], [output]);
        use(outputs[0]);
    }

    /// <summary>A box of an eighth of the height in the middle of each frame.</summary>
    private void PasteBoxes(byte[] frames)
    {
        var size = network.Size;
        int side = size.Height / 8;
        for (int i = 0; i < Rows * Columns; i++)
        {
            for (int y = size.Height / 2; y < size.Height / 2 + side; y++)
            {
                for (int x = size.Width / 2; x < size.Width / 2 + side; x++) ((ReadOnlySpan<byte>)[210, 150, 60]).CopyTo(frames.AsSpan(((i * size.Height + y) * size.Width + x) * 3));
            }
        }
    }

    /// <summary>Error maps as pictures: black where normal, through red to yellow at eight deviations.</summary>
    private byte[] Heat(ReadOnlySpan<float> maps)
    {
        var size = network.Size;
        int rows = size.Height / PatchVae.Patch;
        int columns = size.Width / PatchVae.Patch;
        byte[] pixels = new byte[Rows * Columns * size.Bytes];
        for (int i = 0; i < pixels.Length / 3; i++)
        {
            int frame = i / (size.Height * size.Width);
            int y = i / size.Width % size.Height / PatchVae.Patch;
            int x = i % size.Width / PatchVae.Patch;
            float share = Math.Clamp(maps[(frame * rows + y) * columns + x] / 8, 0, 1);
            pixels[i * 3] = (byte)(255 * Math.Min(1, 2 * share));
            pixels[i * 3 + 1] = (byte)(255 * Math.Max(0, 2 * share - 1));
        }
        return pixels;
    }

    private void Save(string file, ReadOnlySpan<byte> pixels)
    {
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
