namespace OutlierPipeline.Footage.Simulation;

/// <summary>What a rendered frame shows, each from 0 to 1; everything else follows from the camera's seed.</summary>
/// <param name="Sun">How high it stands: from dim and warm to bright and cold light.</param>
/// <param name="Fog">How thick it is.</param>
/// <param name="Curvature">Of the road: from left to right.</param>
/// <param name="Traffic">How near the vehicle ahead is: from 45 m to 7 m.</param>
/// <param name="Vegetation">How large the trees are.</param>
/// <param name="Pitch">How far the car's nose is down.</param>
public readonly record struct StreetFactors(float Sun, float Fog, float Curvature, float Traffic, float Vegetation, float Pitch)
{
    public const int Count = 6;

    public static IReadOnlyList<string> Names { get; } = ["sun height", "fog", "curvature", "traffic", "vegetation", "pitch"];

    /// <summary>In the order of <see cref="Names"/>.</summary>
    public float this[int factor] => factor switch
    {
        0 => Sun,
        1 => Fog,
        2 => Curvature,
        3 => Traffic,
        4 => Vegetation,
        5 => Pitch,
        _ => throw new ArgumentOutOfRangeException(nameof(factor)),
    };

    /// <summary>Independent of each other and uniform.</summary>
    public static StreetFactors Draw(Random random)
    {
        ArgumentNullException.ThrowIfNull(random);
        return new(random.NextSingle(), random.NextSingle(), random.NextSingle(), random.NextSingle(), random.NextSingle(),
            random.NextSingle());
    }
}
