using System.Reflection;
using System.Runtime.InteropServices;

namespace OutlierPipeline.Pipeline;

/// <summary>What librdkafka can do and Confluent.Kafka does not hand on.</summary>
internal static partial class Librdkafka
{
    /// <summary>For <see cref="LibraryImportAttribute"/>, once <see cref="FindFor"/> was called.</summary>
    public const string Library = "librdkafka";

    private const int ProducerType = 0;
    private const int ErrorSize = 512;

    // Confluent.Kafka ships several builds of librdkafka for Linux and takes the first that the system's libraries let it load: so do we.
    static Librdkafka() => FindFor(typeof(Librdkafka).Assembly);

    /// <summary>Makes the library be found by what an assembly imports from it; once for each assembly.</summary>
    public static void FindFor(Assembly importer) => NativeLibrary.SetDllImportResolver(importer, (name, assembly, path) =>
    {
        if (name != Library) return 0;
        foreach (string build in new[] { Library, "centos8-librdkafka", "alpine-librdkafka" })
        {
            if (NativeLibrary.TryLoad(build, assembly, path, out nint handle)) return handle;
        }
        return 0;
    });

    /// <summary>The cluster's own id, as every broker tells it with its metadata; also one without a controller, which answers no
    /// DescribeCluster.</summary>
    /// <param name="configuration">librdkafka's properties.</param>
    /// <returns>Null if none was told in time.</returns>
    public static string? ClusterId(IReadOnlyDictionary<string, string> configuration, TimeSpan patience)
    {
        byte[] error = new byte[ErrorSize];
        nint conf = NewConfiguration();
        foreach (var (name, value) in configuration.Append(new("log_level", "2"))) _ = Set(conf, name, value, error, ErrorSize);
        nint client = New(ProducerType, conf, error, ErrorSize);
        if (client == 0)
        {
            DestroyConfiguration(conf);
            return null;
        }
        try
        {
            nint id = ClusterId(client, (int)patience.TotalMilliseconds);
            if (id == 0) return null;
            string? text = Marshal.PtrToStringUTF8(id);
            Free(client, id);
            return string.IsNullOrEmpty(text) ? null : text;
        }
        finally
        {
            Destroy(client);
        }
    }

    [LibraryImport(Library, EntryPoint = "rd_kafka_conf_new")]
    public static partial nint NewConfiguration();

    [LibraryImport(Library, EntryPoint = "rd_kafka_conf_destroy")]
    private static partial void DestroyConfiguration(nint configuration);

    [LibraryImport(Library, EntryPoint = "rd_kafka_conf_set", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Set(nint configuration, string name, string value, byte[] error, nuint errorSize);

    [LibraryImport(Library, EntryPoint = "rd_kafka_new")]
    public static partial nint New(int type, nint configuration, byte[] error, nuint errorSize);

    [LibraryImport(Library, EntryPoint = "rd_kafka_destroy")]
    public static partial void Destroy(nint client);

    [LibraryImport(Library, EntryPoint = "rd_kafka_clusterid")]
    private static partial nint ClusterId(nint client, int milliseconds);

    [LibraryImport(Library, EntryPoint = "rd_kafka_mem_free")]
    private static partial void Free(nint client, nint memory);
}
