namespace OutlierPipeline.Tests.Training;

/// <summary>Tests that train run one after another: the seed of libtorch's random numbers is the process's.</summary>
[CollectionDefinition(Name)]
public sealed class TorchTests
{
    public const string Name = "libtorch";
}
