using SkiaSharp;

namespace OutlierPipeline.Footage.Simulation;

/// <summary>The street itself: sky, road, markings, buildings, trees, vehicles and light, from the seed and the time alone.</summary>
internal sealed class StreetScene : IDisposable
{
    private const float Focal = 0.85f * StreetCamera.Width;
    private const float CameraHeight = 1.5f;
    private const float Near = 2.5f;
    private const float Far = 110;
    private const float Slot = 13;
    private const float HalfRoad = 4.2f;
    private const float HalfStreet = 7.0f;
    private static readonly SKColor[] Walls = [new(176, 150, 128), new(158, 92, 74), new(196, 186, 168), new(142, 138, 134),
        new(184, 164, 120), new(120, 112, 116)];
    private static readonly SKColor[] Paints = [new(170, 30, 30), new(40, 60, 130), new(225, 225, 225), new(40, 42, 46),
        new(120, 124, 130), new(60, 110, 80), new(190, 160, 60)];
    private readonly SKPaint _fill = new() { IsAntialias = true };
    private readonly SKPath _path = new();
    private readonly uint _seed;
    private readonly float _speed;
    private readonly float _start;
    private readonly float _lightPhase;
    private readonly float _bendPhase;
    private readonly float _trees;
    private float _position;
    private float _bend;
    private float _horizon;
    private float _light;
    private float _warmth;
    private float _ahead;
    private float _treeSize = 1;
    private bool _isNight;

    public StreetScene(int seed)
    {
        _seed = (uint)seed * 2654435761u + 97;
        _speed = 7 + 6 * Unit(1, 0);
        _start = 1000 + 5000 * Unit(2, 0);
        _lightPhase = 6.28f * Unit(3, 0);
        _bendPhase = 6.28f * Unit(4, 0);
        _trees = 0.3f + 0.4f * Unit(5, 0);
    }

    public void Draw(SKCanvas canvas, double seconds, bool isNight, double obstacle)
    {
        float time = (float)seconds;
        _isNight = isNight;
        _position = _start + _speed * time;
        _bend = 0.0022f * MathF.Sin(0.11f * time + _bendPhase);
        // The car nods a little on its springs.
        _horizon = 0.46f * StreetCamera.Height + 1.2f * MathF.Sin(2.1f * time + _bendPhase) + 0.5f * MathF.Sin(7.3f * time);
        _light = 1 + 0.10f * MathF.Sin(0.21f * time + _lightPhase) + 0.03f * MathF.Sin(1.7f * time);
        _warmth = 0.5f + 0.5f * MathF.Sin(0.07f * time + _lightPhase);
        _ahead = 22 + 9 * MathF.Sin(0.23f * time + _lightPhase);
        DrawStreet(canvas, time);
        if (obstacle > 0) DrawObstacle(canvas, time, (float)obstacle);
    }

    /// <summary>One place of the street as the factors say, but for the fog, which lies over the picture.</summary>
    public void Draw(SKCanvas canvas, in StreetFactors factors)
    {
        _isNight = false;
        _position = _start;
        _bend = 0.0033f * (2 * factors.Curvature - 1);
        _horizon = (0.46f - 0.06f * (2 * factors.Pitch - 1)) * StreetCamera.Height;
        _light = 0.5f + 0.7f * factors.Sun;
        _warmth = 3 - 6 * factors.Sun;
        _ahead = 45 * MathF.Pow(7f / 45, factors.Traffic);
        _treeSize = 0.3f + 1.4f * factors.Vegetation;
        DrawStreet(canvas, 0);
        _treeSize = 1;
    }

    private void DrawStreet(SKCanvas canvas, float time)
    {
        DrawSky(canvas, time);
        DrawGround(canvas);
        int first = (int)MathF.Floor((_position + Near) / Slot) - 1;
        int last = (int)MathF.Floor((_position + Far) / Slot);
        for (int slot = last; slot >= first; slot--)
        {
            DrawBuilding(canvas, slot, -1);
            DrawBuilding(canvas, slot, 1);
            DrawTree(canvas, slot, -1);
            DrawTree(canvas, slot, 1);
            DrawParked(canvas, slot);
        }
        DrawTraffic(canvas, time);
    }

    public void Dispose()
    {
        _fill.Dispose();
        _path.Dispose();
    }

    /// <summary>
    /// A number from 0 to 1 that depends on the seed, a thing's kind and its index: a street without end needs no memory.
    /// </summary>
    private float Unit(uint kind, int index)
    {
        uint x = _seed ^ (kind * 0x9E3779B9u) ^ ((uint)index * 0x85EBCA6Bu);
        x ^= x >> 16;
        x *= 0x7FEB352Du;
        x ^= x >> 15;
        x *= 0x846CA68Bu;
        x ^= x >> 16;
        return (x >> 8) / 16777216f;
    }

    /// <summary>Metres to the right, above the road and ahead, to pixels.</summary>
    private SKPoint Project(float x, float y, float z) =>
        new(StreetCamera.Width / 2f + Focal * (x / z + _bend * z), _horizon + Focal * (CameraHeight - y) / z);

    private SKColor Lit(SKColor color, float distance)
    {
        float gain = _light;
        // Air between camera and wall.
        float haze = Math.Clamp(distance / 260, 0, 0.35f);
        float r = color.Red * gain * (1 + 0.05f * _warmth);
        float g = color.Green * gain;
        float b = color.Blue * gain * (1 - 0.05f * _warmth);
        return new SKColor(Byte(r + (196 - r) * haze), Byte(g + (208 - g) * haze), Byte(b + (220 - b) * haze));

        static byte Byte(float value) => (byte)Math.Clamp(value, 0, 255);
    }

    private void Polygon(SKCanvas canvas, SKColor color, params ReadOnlySpan<SKPoint> corners)
    {
        _path.Rewind();
        _path.MoveTo(corners[0]);
        foreach (var corner in corners[1..]) _path.LineTo(corner);
        _path.Close();
        _fill.Color = color;
        canvas.DrawPath(_path, _fill);
    }

    private void DrawSky(SKCanvas canvas, float time)
    {
        var top = Lit(new SKColor(112, 152, 206), 0);
        var bottom = Lit(new SKColor(198, 214, 230), 0);
        using (var shader = SKShader.CreateLinearGradient(new SKPoint(0, 0), new SKPoint(0, _horizon), [top, bottom],
            SKShaderTileMode.Clamp))
        {
            _fill.Shader = shader;
            canvas.DrawRect(0, 0, StreetCamera.Width, _horizon + 2, _fill);
            _fill.Shader = null;
        }
        for (int i = 0; i < 6; i++)
        {
            float x = (Unit(10, i) * 460 + time * (0.8f + Unit(11, i))) % 460 - 70;
            float y = Unit(12, i) * _horizon * 0.7f;
            _fill.Color = new SKColor(246, 248, 250, (byte)(60 + 70 * Unit(13, i)));
            float width = 24 + 40 * Unit(14, i);
            for (int part = 0; part < 3; part++)
                canvas.DrawOval(x + part * width * 0.5f, y + (part == 1 ? -3 : 0), width * 0.55f, 5 + 5 * Unit(15, i), _fill);
        }
    }

    private void DrawGround(SKCanvas canvas)
    {
        _fill.Color = Lit(new SKColor(128, 126, 112), 60);
        canvas.DrawRect(0, _horizon, StreetCamera.Width, StreetCamera.Height - _horizon, _fill);
        // In pieces, since a bend is no straight line.
        Span<float> distances = [Near * 0.6f, 5, 8, 12, 18, 27, 40, 60, Far];
        for (int i = distances.Length - 2; i >= 0; i--)
        {
            float a = distances[i];
            // A little over the next piece, so that no seam shows.
            float b = Math.Min(Far, distances[i + 1] * 1.03f);
            Strip(canvas, Lit(new SKColor(150, 146, 140), a), -HalfStreet - 1, HalfStreet + 1, a, b);
            Strip(canvas, Lit(new SKColor(84, 84, 88), a), -HalfRoad, HalfRoad, a, b);
            Strip(canvas, Lit(new SKColor(176, 174, 168), a), -HalfRoad - 0.2f, -HalfRoad, a, b);
            Strip(canvas, Lit(new SKColor(176, 174, 168), a), HalfRoad, HalfRoad + 0.2f, a, b);
        }
        const float dash = 3;
        float offset = _position % (2 * dash);
        for (float z = 2 * dash * 12 - offset; z > -dash; z -= 2 * dash)
        {
            float from = Math.Max(z, Near * 0.6f);
            if (z + dash > from) Strip(canvas, Lit(new SKColor(226, 226, 220), z), -0.09f, 0.09f, from, z + dash);
        }
    }

    private void Strip(SKCanvas canvas, SKColor color, float left, float right, float near, float far) =>
        Polygon(canvas, color, Project(left, 0, near), Project(right, 0, near), Project(right, 0, far), Project(left, 0, far));

    private void DrawBuilding(SKCanvas canvas, int slot, int side)
    {
        int index = slot * 2 + (side + 1) / 2;
        if (Unit(20, index) < 0.08f) return;
        float from = slot * Slot - _position + 0.4f * Unit(21, index);
        float to = from + Slot * (0.86f + 0.12f * Unit(22, index));
        if (to < Near) return;
        float near = Math.Max(from, Near);
        float wall = side * (HalfStreet + 1 + 2.5f * Unit(23, index));
        float height = 6 + 10 * Unit(24, index);
        var color = Walls[(int)(Unit(25, index) * Walls.Length)];
        var shaded = side < 0 ? color : new SKColor((byte)(color.Red * 0.8f), (byte)(color.Green * 0.8f), (byte)(color.Blue * 0.82f));
        if (from > Near)
        {
            float outside = wall + side * 14;
            Polygon(canvas, Lit(new SKColor((byte)(color.Red * 0.7f), (byte)(color.Green * 0.7f), (byte)(color.Blue * 0.7f)), near),
                Project(wall, 0, from), Project(wall, height, from), Project(outside, height, from), Project(outside, 0, from));
        }
        Polygon(canvas, Lit(shaded, near), Project(wall, 0, near), Project(wall, height, near), Project(wall, height, to),
            Project(wall, 0, to));
        int storeys = (int)(height / 3.1f);
        for (int column = 0; column < 4; column++)
        {
            float a = from + (column + 0.25f) * (to - from) / 4;
            float b = a + (to - from) / 8;
            if (a < Near || a > 70) continue;
            for (int storey = 0; storey < storeys; storey++)
            {
                float bottom = 1.0f + storey * 3.1f;
                bool isLit = _isNight && Unit(26, index * 64 + column * 16 + storey) < 0.35f;
                var glass = isLit ? new SKColor(255, 232, 160) : Lit(new SKColor(72, 84, 98), a);
                Polygon(canvas, glass, Project(wall, bottom, a), Project(wall, bottom + 1.5f, a), Project(wall, bottom + 1.5f, b),
                    Project(wall, bottom, b));
            }
        }
    }

    private void DrawTree(SKCanvas canvas, int slot, int side)
    {
        int index = slot * 2 + (side + 1) / 2;
        if (Unit(30, index) > _trees) return;
        float z = (slot + 0.2f + 0.5f * Unit(31, index)) * Slot - _position;
        if (z < Near + 1 || z > Far) return;
        float x = side * (HalfRoad + 1.2f + Unit(32, index));
        float height = (3.2f + 2 * Unit(33, index)) * _treeSize;
        float scale = Focal / z * _treeSize;
        var foot = Project(x, 0, z);
        var crown = Project(x, height, z);
        _fill.Color = Lit(new SKColor(82, 64, 48), z);
        canvas.DrawRect(foot.X - 0.14f * scale, crown.Y, 0.28f * scale, foot.Y - crown.Y, _fill);
        for (int i = 0; i < 5; i++)
        {
            float angle = i * 1.2566f + Unit(34, index);
            _fill.Color = Lit(new SKColor((byte)(58 + 22 * Unit(35, index * 8 + i)), (byte)(96 + 30 * Unit(36, index * 8 + i)), 52), z);
            canvas.DrawCircle(crown.X + 0.7f * scale * MathF.Cos(angle), crown.Y + 0.6f * scale * MathF.Sin(angle), 0.95f * scale, _fill);
        }
    }

    private void DrawParked(SKCanvas canvas, int slot)
    {
        if (Unit(40, slot) > 0.35f) return;
        float z = (slot + 0.5f) * Slot - _position;
        if (z > Near + 2)
            DrawVehicle(canvas, Unit(41, slot) < 0.5f
                ? -HalfRoad - 0.9f
                : HalfRoad + 0.9f, z, 1.7f, Paints[(int)(Unit(42, slot) * Paints.Length)], isOncoming: Unit(41, slot) < 0.5f);
    }

    private void DrawTraffic(SKCanvas canvas, float time)
    {
        // Nearer ones last. One drives ahead, the others come towards the camera.
        Span<(float X, float Z, int Paint, bool Oncoming)> vehicles =
        [
            (2.1f, _ahead, 0, false),
            (-2.1f, Far - (time * (_speed + 11) + 130 * Unit(50, 0)) % 130, 1, true),
            (-2.1f, Far - (time * (_speed + 9) + 130 * Unit(50, 1)) % 130, 2, true),
        ];
        vehicles.Sort((a, b) => b.Z.CompareTo(a.Z));
        foreach (var (x, z, paint, oncoming) in vehicles)
        {
            if (z > Near + 1.5f)
                DrawVehicle(canvas, x, z, 1.8f, Paints[(int)(Unit(51, paint + 16 * (oncoming ? (int)(time / 12) : 0)) * Paints.Length)],
                    oncoming);
        }
    }

    private void DrawVehicle(SKCanvas canvas, float x, float z, float width, SKColor paint, bool isOncoming)
    {
        float scale = Focal / z;
        var foot = Project(x, 0, z);
        float half = width / 2 * scale;
        _fill.Color = new SKColor(20, 20, 22, 110);
        canvas.DrawOval(foot.X, foot.Y, half * 1.15f, 0.16f * scale, _fill);
        _fill.Color = new SKColor(18, 18, 20);
        canvas.DrawRect(foot.X - half, foot.Y - 0.45f * scale, 0.3f * scale, 0.45f * scale, _fill);
        canvas.DrawRect(foot.X + half - 0.3f * scale, foot.Y - 0.45f * scale, 0.3f * scale, 0.45f * scale, _fill);
        _fill.Color = Lit(paint, z);
        canvas.DrawRoundRect(foot.X - half, foot.Y - 0.95f * scale, 2 * half, 0.72f * scale, 0.12f * scale, 0.12f * scale, _fill);
        Polygon(canvas, Lit(paint, z), new(foot.X - half * 0.9f, foot.Y - 0.9f * scale), new(foot.X - half * 0.7f, foot.Y - 1.45f * scale),
            new(foot.X + half * 0.7f, foot.Y - 1.45f * scale), new(foot.X + half * 0.9f, foot.Y - 0.9f * scale));
        Polygon(canvas, Lit(new SKColor(52, 62, 74), z), new(foot.X - half * 0.78f, foot.Y - 0.93f * scale),
            new(foot.X - half * 0.62f, foot.Y - 1.38f * scale), new(foot.X + half * 0.62f, foot.Y - 1.38f * scale),
            new(foot.X + half * 0.78f, foot.Y - 0.93f * scale));
        var lamp = isOncoming ? new SKColor(255, 250, 224) : _isNight ? new SKColor(255, 40, 30) : new SKColor(170, 24, 24);
        _fill.Color = lamp;
        float radius = (_isNight ? 0.16f : 0.1f) * scale;
        canvas.DrawCircle(foot.X - half * 0.78f, foot.Y - 0.7f * scale, radius, _fill);
        canvas.DrawCircle(foot.X + half * 0.78f, foot.Y - 0.7f * scale, radius, _fill);
    }

    private void DrawObstacle(SKCanvas canvas, float time, float strength)
    {
        float z = 6.8f;
        float scale = Focal / z * Math.Max(0.3f, strength);
        bool isAnimal = Unit(60, 0) < 0.5f;
        var foot = Project(1.2f + 0.4f * MathF.Sin(0.9f * time), 0, z);
        _fill.Color = new SKColor(20, 20, 22, 120);
        canvas.DrawOval(foot.X, foot.Y, 0.9f * scale, 0.12f * scale, _fill);
        if (!isAnimal)
        {
            Polygon(canvas, new SKColor(196, 148, 84), new(foot.X - 0.7f * scale, foot.Y), new(foot.X - 0.7f * scale, foot.Y - scale),
                new(foot.X + 0.4f * scale, foot.Y - scale), new(foot.X + 0.4f * scale, foot.Y));
            Polygon(canvas, new SKColor(150, 108, 60), new(foot.X + 0.4f * scale, foot.Y), new(foot.X + 0.4f * scale, foot.Y - scale),
                new(foot.X + 0.8f * scale, foot.Y - 1.1f * scale), new(foot.X + 0.8f * scale, foot.Y - 0.15f * scale));
            Polygon(canvas, new SKColor(226, 206, 150), new(foot.X - 0.2f * scale, foot.Y), new(foot.X - 0.2f * scale, foot.Y - scale),
                new(foot.X - 0.1f * scale, foot.Y - scale), new(foot.X - 0.1f * scale, foot.Y));
            return;
        }
        _fill.Color = new SKColor(192, 142, 92);
        float gait = 0.1f * MathF.Sin(6 * time);
        foreach (float leg in (ReadOnlySpan<float>)[-0.55f, -0.4f, 0.35f, 0.5f])
            canvas.DrawRect(foot.X + (leg + gait * MathF.Sign(leg)) * scale, foot.Y - 0.6f * scale, 0.09f * scale, 0.6f * scale, _fill);
        canvas.DrawOval(foot.X, foot.Y - 0.8f * scale, 0.68f * scale, 0.32f * scale, _fill);
        _fill.Color = new SKColor(236, 224, 204);
        canvas.DrawOval(foot.X, foot.Y - 0.66f * scale, 0.5f * scale, 0.16f * scale, _fill);
        _fill.Color = new SKColor(192, 142, 92);
        Polygon(canvas, _fill.Color, new(foot.X + 0.45f * scale, foot.Y - 0.9f * scale),
            new(foot.X + 0.75f * scale, foot.Y - 1.5f * scale), new(foot.X + 0.9f * scale, foot.Y - 1.4f * scale),
            new(foot.X + 0.68f * scale, foot.Y - 0.75f * scale));
        canvas.DrawOval(foot.X + 0.92f * scale, foot.Y - 1.45f * scale, 0.22f * scale, 0.13f * scale, _fill);
        _fill.Color = new SKColor(214, 196, 160);
        canvas.DrawRect(foot.X + 0.74f * scale, foot.Y - 1.9f * scale, 0.05f * scale, 0.4f * scale, _fill);
        canvas.DrawRect(foot.X + 0.86f * scale, foot.Y - 1.9f * scale, 0.05f * scale, 0.4f * scale, _fill);
    }
}
