namespace OutlierPipeline.Training;

internal static class Seeds
{
    /// <summary>A number of 31 bits for a step, the same in every run (Steele, Lea and Flood, SplitMix, OOPSLA 2014).</summary>
    public static long Of(int seed, long step)
    {
        ulong z = unchecked((ulong)step * 0x9E3779B97F4A7C15 + (ulong)seed * 0xD1B54A32D192ED03);
        z = unchecked((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9);
        z = unchecked((z ^ (z >> 27)) * 0x94D049BB133111EB);
        return (long)((z ^ (z >> 31)) & 0x7FFFFFFF);
    }
}
