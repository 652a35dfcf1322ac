using System.Runtime.InteropServices;
using System.Text;
using OutlierPipeline.Pipeline;

namespace OutlierPipeline.Footage.Simulation;

/// <summary>
/// A Kafka broker inside the process: librdkafka's mock cluster, for the demo, tests and benchmarks. Real clients connect to it over TCP.
/// It keeps about 5 MB a partition, drops transactions' effects, and creates topics on first use with 4 partitions.
/// </summary>
public sealed partial class MockBroker : IDisposable
{
    private const int ProducerType = 0;
    private const string Library = Librdkafka.Library;
    private readonly nint _client;
    private readonly nint _cluster;

    static MockBroker() => Librdkafka.FindFor(typeof(MockBroker).Assembly);

    /// <param name="brokers">Number of brokers, at least 1.</param>
    /// <exception cref="InvalidOperationException">librdkafka could not start it.</exception>
    public MockBroker(int brokers = 1)
    {
        byte[] error = new byte[512];
        nint configuration = Librdkafka.NewConfiguration();
        // This client carries the cluster and talks to no broker: its warning that it knows none would only puzzle.
        _ = Librdkafka.Set(configuration, "log_level", "2", error, (nuint)error.Length);
        _client = Librdkafka.New(ProducerType, configuration, error, (nuint)error.Length);
        if (_client == 0)
            throw new InvalidOperationException($"the mock broker could not start: {Encoding.UTF8.GetString(error).TrimEnd('\0')}");
        _cluster = NewCluster(_client, brokers);
        if (_cluster == 0) throw new InvalidOperationException("the mock broker could not start: no port could be opened on 127.0.0.1");
        BootstrapServers = Marshal.PtrToStringUTF8(Bootstraps(_cluster))!;
        // Groups in the mock wait three seconds for members by default: too long for a demo that has one.
        SetInitialRebalanceDelay(_cluster, 100);
    }

    /// <summary><c>host:port</c> of every broker, separated by commas.</summary>
    public string BootstrapServers { get; }

    /// <exception cref="InvalidOperationException">The topic exists, or the name is not valid.</exception>
    public void CreateTopic(string name, int partitions)
    {
        int error = CreateTopic(_cluster, name, partitions, 1);
        if (error != 0) throw new InvalidOperationException($"the mock broker did not create topic {name}: librdkafka error {error}");
    }

    /// <summary>The next requests of one kind fail with these errors, one each.</summary>
    /// <param name="apiKey">Kafka's number for the request, such as 0 for Produce.</param>
    /// <param name="errors">Kafka error codes.</param>
    public void FailNext(short apiKey, params int[] errors) => PushErrors(_cluster, apiKey, (nuint)errors.Length, errors);

    /// <summary>Every request for the topic fails with this error until it is set to 0.</summary>
    public void SetTopicError(string topic, int error) => SetTopicError(_cluster, topic, error);

    /// <summary>Takes a broker (numbered from 1) off the network, or puts it back.</summary>
    public void SetReachable(int broker, bool reachable)
    {
        int error = reachable ? SetUp(_cluster, broker) : SetDown(_cluster, broker);
        if (error != 0) throw new ArgumentOutOfRangeException(nameof(broker), broker, $"librdkafka error {error}");
    }

    public void Dispose()
    {
        DestroyCluster(_cluster);
        Librdkafka.Destroy(_client);
    }

    [LibraryImport(Library, EntryPoint = "rd_kafka_mock_cluster_new")]
    private static partial nint NewCluster(nint client, int brokers);

    [LibraryImport(Library, EntryPoint = "rd_kafka_mock_cluster_destroy")]
    private static partial void DestroyCluster(nint cluster);

    [LibraryImport(Library, EntryPoint = "rd_kafka_mock_cluster_bootstraps")]
    private static partial nint Bootstraps(nint cluster);

    [LibraryImport(Library, EntryPoint = "rd_kafka_mock_topic_create", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int CreateTopic(nint cluster, string topic, int partitions, int replicationFactor);

    [LibraryImport(Library, EntryPoint = "rd_kafka_mock_topic_set_error", StringMarshalling = StringMarshalling.Utf8)]
    private static partial void SetTopicError(nint cluster, string topic, int error);

    [LibraryImport(Library, EntryPoint = "rd_kafka_mock_push_request_errors_array")]
    private static partial void PushErrors(nint cluster, short apiKey, nuint count, int[] errors);

    [LibraryImport(Library, EntryPoint = "rd_kafka_mock_broker_set_down")]
    private static partial int SetDown(nint cluster, int broker);

    [LibraryImport(Library, EntryPoint = "rd_kafka_mock_broker_set_up")]
    private static partial int SetUp(nint cluster, int broker);

    [LibraryImport(Library, EntryPoint = "rd_kafka_mock_group_initial_rebalance_delay_ms")]
    private static partial void SetInitialRebalanceDelay(nint cluster, int milliseconds);
}
