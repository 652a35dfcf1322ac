using OutlierPipeline.IntegrationTests.Support;
using Xunit.Sdk;
using Xunit.v3;

[assembly: TestCollectionOrderer(typeof(LongestFirst))]

namespace OutlierPipeline.IntegrationTests.Support;

/// <summary>
/// The classes that take longest are among the first, so that none of them is left alone at the end: those that compute beside those that
/// wait. The others follow by their names; without an order they come in another one each time.
/// </summary>
public sealed class LongestFirst : ITestCollectionOrderer
{
    private static readonly string[] Longest =
    [
        nameof(Cli.ModelLifeTests), nameof(Pipeline.LeaderTests), nameof(Pipeline.RealFootageTests), nameof(Pipeline.RightsTests),
        nameof(Cli.MissedOutliersTests), nameof(Service.DemoTests), nameof(Service.HostileInputTests), nameof(Pipeline.RetentionTests),
        nameof(Pipeline.ClockTests),
    ];

    public IReadOnlyCollection<TTestCollection> OrderTestCollections<TTestCollection>(IReadOnlyCollection<TTestCollection> testCollections)
        where TTestCollection : ITestCollection =>
        [.. testCollections.OrderBy(Rank).ThenBy(collection => collection.TestCollectionDisplayName, StringComparer.Ordinal)];

    /// <summary>A class that is in no collection by name has one that is displayed with the class's name.</summary>
    private static int Rank<TTestCollection>(TTestCollection collection)
        where TTestCollection : ITestCollection
    {
        int rank = Array.FindIndex(Longest, name => collection.TestCollectionDisplayName.Contains($".{name} ", StringComparison.Ordinal));
        return rank < 0 ? Longest.Length : rank;
    }
}
