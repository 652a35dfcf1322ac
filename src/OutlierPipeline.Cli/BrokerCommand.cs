using System.CommandLine;
using OutlierPipeline.Footage.Simulation;

namespace OutlierPipeline.Cli;

/// <summary><c>outlier broker</c>: librdkafka's mock cluster as a process of its own.</summary>
internal static class BrokerCommand
{
    private static readonly string[] Topics = ["camera.frames", "ood.scores", "ood.alerts", "ood.state", "camera.frames.dlq"];

    public static Command Build()
    {
        var partitions = new Option<int>("--partitions") { DefaultValueFactory = _ => 16, Description = "Partitions of each topic" };
        var command = new Command("broker", "Run a small Kafka broker in memory, with the pipeline's topics, to try and measure things " +
            "where there is no Kafka; its first line is its address") { partitions };
        command.SetAction((options, cancellation) => CommandRunner.RunAsync(async () =>
        {
            if (options.GetValue(partitions) is not (>= 1 and <= 1000)) throw new CommandException("--partitions must be 1 to 1000");
            using var broker = new MockBroker();
            foreach (string topic in Topics) broker.CreateTopic(topic, options.GetValue(partitions));
            Console.WriteLine(broker.BootstrapServers);
            try
            {
                await Task.Delay(Timeout.Infinite, cancellation);
            }
            catch (OperationCanceledException)
            {
                // Stopped, as it is meant to be.
            }
            return 0;
        }));
        return command;
    }
}
