using System.Numerics.Tensors;
using OutlierPipeline.Frames;
using OutlierPipeline.Models;

namespace OutlierPipeline.Evaluation;

/// <summary>
/// Tells frames that show something new from those that repeat an earlier one but for the sensor's noise: copies, a frozen picture, a
/// parked car.
/// It compares the brightness of the cells of a coarse grid, each the mean of so many pixels that noise and an encoder's rounding are gone
/// from it.
/// </summary>
internal sealed class SceneMemory(FrameSize size, FrameMask? mask)
{
    private const int Rows = 8;
    private const int Columns = 12;

    /// <summary>Root mean square over the cells, in grey levels; a moving camera's pictures differ by several within a second.</summary>
    private const float Noise = 1;

    /// <summary>Scenes that a frame is compared with, the latest: more would take too long, and hardly come again.</summary>
    private const int MaxCompared = 2000;

    private readonly List<float[]> _scenes = [];

    /// <summary>Whether a frame shows something that none before it did; it is remembered if so.</summary>
    /// <param name="rgb"><c>[H, W, 3]</c> uint8, RGB.</param>
    public bool IsNew(ReadOnlySpan<byte> rgb)
    {
        float[] scene = Cells(rgb);
        for (int i = _scenes.Count - 1; i >= Math.Max(0, _scenes.Count - MaxCompared); i--)
        {
            if (TensorPrimitives.Distance<float>(scene, _scenes[i]) <= Noise * MathF.Sqrt(scene.Length)) return false;
        }
        _scenes.Add(scene);
        return true;
    }

    /// <summary>Mean brightness of each cell, over the pixels that count.</summary>
    private float[] Cells(ReadOnlySpan<byte> rgb)
    {
        int[] sums = new int[Rows * Columns];
        int[] counts = new int[Rows * Columns];
        for (int y = 0; y < size.Height; y++)
        {
            for (int x = 0; x < size.Width; x++)
            {
                int pixel = y * size.Width + x;
                if (mask is not null && mask.Pixels[pixel] == 0) continue;
                int cell = y * Rows / size.Height * Columns + x * Columns / size.Width;
                sums[cell] += rgb[3 * pixel] + rgb[3 * pixel + 1] + rgb[3 * pixel + 2];
                counts[cell]++;
            }
        }
        return [.. sums.Zip(counts).Where(cell => cell.Second > 0).Select(cell => cell.First / (3f * cell.Second))];
    }
}
