using System.Diagnostics;
using System.Globalization;
using Confluent.Kafka;
using OutlierPipeline.Footage.Simulation;

namespace OutlierPipeline.Benchmarks;

/// <summary>
/// Broker and load generator in a process of their own, so that what they cost is not counted as the pipeline's. Commands go over its
/// standard input.
/// </summary>
internal sealed class BrokerProcess : IDisposable
{
    private const string Frames = "camera.frames";
    private readonly Process _process;

    public BrokerProcess(int partitions)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!) { RedirectStandardInput = true, RedirectStandardOutput = true };
        if (Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet")
            start.ArgumentList.Add(typeof(BrokerProcess).Assembly.Location);
        foreach (string argument in new[] { "broker", partitions.ToString(CultureInfo.InvariantCulture) }) start.ArgumentList.Add(argument);
        _process = Process.Start(start)!;
        BootstrapServers = _process.StandardOutput.ReadLine()!;
    }

    public string BootstrapServers { get; }

    /// <summary>Processor time that the process has taken.</summary>
    public TimeSpan ProcessorTime
    {
        get
        {
            _process.Refresh();
            return _process.TotalProcessorTime;
        }
    }

    /// <summary>Sends frames, as fast as it goes (rate 0) or evenly, and returns when all are acknowledged.</summary>
    public void Send(int frames, double rate)
    {
        _process.StandardInput.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{frames} {rate}"));
        _ = _process.StandardOutput.ReadLine();
    }

    public void Dispose()
    {
        _process.StandardInput.Close();
        _process.WaitForExit();
        _process.Dispose();
    }

    /// <summary>What runs in the other process.</summary>
    public static int Serve(int partitions)
    {
        using var broker = new MockBroker();
        foreach (string topic in new[] { Frames, "ood.scores", "ood.alerts", "ood.state", "camera.frames.dlq" })
            broker.CreateTopic(topic, partitions);
        using var producer = new ProducerBuilder<string, byte[]>(new ProducerConfig
        {
            BootstrapServers = broker.BootstrapServers,
            LingerMs = 1
        }).SetLogHandler((_, _) => { }).Build();
        byte[][] frames = EndToEnd.Street();
        Console.WriteLine(broker.BootstrapServers);
        while (Console.ReadLine() is { } command)
        {
            string[] words = command.Split(' ');
            double rate = double.Parse(words[1], CultureInfo.InvariantCulture);
            var clock = Stopwatch.StartNew();
            for (int i = 0; i < int.Parse(words[0], CultureInfo.InvariantCulture); i++)
            {
                while (rate > 0 && clock.Elapsed.TotalSeconds < i / rate) Thread.Sleep(1);
                producer.Produce(new TopicPartition(Frames, i % partitions),
                    new Message<string, byte[]> { Key = $"car-{i % partitions}", Value = frames[i % frames.Length] });
            }
            producer.Flush(TimeSpan.FromSeconds(60));
            Console.WriteLine("sent");
        }
        return 0;
    }
}
