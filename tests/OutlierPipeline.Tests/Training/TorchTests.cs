namespace OutlierPipeline.Tests.Training;

/// <summary>
/// Tests that train run one after another, since the seed of libtorch's random numbers is the process's, and beside no others: they take
/// every core and hold up garbage
/// collections, and a test of how long a batch waits would measure that.
/// </summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class TorchTests
{
    public const string Name = "libtorch";
}
