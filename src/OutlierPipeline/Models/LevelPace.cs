namespace OutlierPipeline.Models;

/// <summary>
/// How fast evidence by the level may gather where drives calibrate it: all frames of a drive are moved together, so that they are no
/// independent observations.
/// </summary>
/// <param name="Seconds">From here on two frames count as independent.</param>
/// <param name="Allowance">Nats that every bet is lowered by: what the strangest normal drive wins on average, and a margin.</param>
public sealed record LevelPace(double Seconds, double Allowance);
