namespace OutlierPipeline.Footage.Simulation;

/// <summary>What can happen to a simulated camera.</summary>
public enum Trouble
{
    None,

    /// <summary>Everything far is grey.</summary>
    Fog,

    /// <summary>Only headlights and lit windows are left.</summary>
    Night,

    /// <summary>Flakes in the air, white on the ground.</summary>
    Snow,

    /// <summary>Streaks, a grey sky and a wet road.</summary>
    Rain,

    /// <summary>Spots of mud on the lens.</summary>
    DirtyLens,

    /// <summary>Rows of the sensor that read nothing.</summary>
    DeadRows,

    /// <summary>Out of focus.</summary>
    Blur,

    /// <summary>The same picture again and again.</summary>
    Frozen,

    /// <summary>An animal or a box on the road.</summary>
    Obstacle,
}
