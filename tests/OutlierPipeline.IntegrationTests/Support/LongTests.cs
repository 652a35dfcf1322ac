namespace OutlierPipeline.IntegrationTests.Support;

/// <summary>What takes minutes, and whose promise has a quicker test too, runs where it is asked for.</summary>
internal static class LongTests
{
    /// <summary>Skips the test unless all are asked for.</summary>
    public static void Ask() => AskUnless(false);

    /// <summary>Skips a case of a theory unless all are asked for, or it is the one that stands for the others.</summary>
    public static void AskUnless(bool isRepresentative) => Assert.SkipUnless(
        isRepresentative || Environment.GetEnvironmentVariable("OUTLIER_TESTS_ALL") == "1", "takes minutes: ./test.sh --all runs it");
}
