namespace OutlierPipeline.IntegrationTests.Support;

/// <summary>
/// A Debian 12 with nothing in it but what .NET's own documentation asks for; its tests are skipped where none can be made.
/// </summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class DebianRoot : IAsyncLifetime, ICollectionFixture<DebianRoot>, ICollectionFixture<SourceCopy>
{
    /// <summary>Its tests share one, which takes a minute to make. They take all cores, so that they run beside no others.</summary>
    public const string Name = "Debian 12";

    private readonly string _directory = System.IO.Directory.CreateTempSubdirectory("debian-").FullName;
    private string? _missing;

    /// <summary>Skips the test where there is none.</summary>
    public string Directory
    {
        get
        {
            Assert.SkipWhen(_missing is not null, _missing ?? "");
            return _directory;
        }
    }

    public async ValueTask InitializeAsync()
    {
        if (!Repository.Has("debootstrap") && !File.Exists("/usr/sbin/debootstrap")) _missing = "debootstrap is not on this machine";
        else if (Environment.UserName != "root") _missing = "only root makes a Debian with debootstrap";
        if (_missing is not null) return;
        var made = await Tool.RunAsync("debootstrap", ["--variant=minbase", "--include=ca-certificates,libssl3", "bookworm", _directory],
            limit: TimeSpan.FromMinutes(6));
        if (made.Code != 0) _missing = $"debootstrap makes no Debian here: {made.Output.TrimEnd().Split('\n')[^1]}";
    }

    /// <summary>Runs a program in it, with the network of loopback alone.</summary>
    public Task<(int Code, string Output, string Error)> RunAsync(params string[] command) =>
        Tool.RunAsync("unshare",
        ["--mount", "--net", "sh", "-c",
        "ip link set lo up 2> /dev/null; root=$1; shift; mount -t proc proc \"$root/proc\" && exec chroot \"$root\" \"$@\"", "sh",
        Directory, .. command]);

    public ValueTask DisposeAsync()
    {
        System.IO.Directory.Delete(_directory, recursive: true);
        return ValueTask.CompletedTask;
    }
}
