namespace OutlierPipeline.Footage.Simulation;

/// <summary>Something that sends pictures as a camera does, and can be put into trouble.</summary>
public interface ISimulatedCamera : IDisposable
{
    /// <param name="seconds">Time of the drive.</param>
    /// <param name="strength">Of the trouble, 0 to 1.</param>
    /// <returns>An encoded picture.</returns>
    byte[] Render(double seconds, Trouble trouble, double strength);
}
