using SkiaSharp;

namespace OutlierPipeline.Footage.Simulation;

/// <summary>Every trouble of the simulated camera in one picture, for people.</summary>
public static class ContactSheet
{
    private const int Columns = 5;

    /// <returns>A JPEG: the normal street and each trouble, in the order of <see cref="Trouble"/>, five to a row.</returns>
    public static byte[] Render(int seed)
    {
        var troubles = Enum.GetValues<Trouble>();
        int rows = (troubles.Length + Columns - 1) / Columns;
        using var surface = SKSurface.Create(new SKImageInfo(Columns * StreetCamera.Width, rows * StreetCamera.Height));
        for (int i = 0; i < troubles.Length; i++)
        {
            using var camera = new StreetCamera(seed);
            float x = i % Columns * StreetCamera.Width;
            float y = i / Columns * StreetCamera.Height;
            surface.Canvas.DrawBitmap(camera.Draw(4.5, troubles[i]), x, y);
        }
        using var image = surface.Snapshot();
        using var jpeg = image.Encode(SKEncodedImageFormat.Jpeg, 88);
        return jpeg.ToArray();
    }
}
