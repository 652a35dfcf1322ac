using System.CommandLine;
using Confluent.Kafka;
using Confluent.Kafka.Admin;
using Microsoft.Extensions.Logging.Abstractions;
using OutlierPipeline.Pipeline;

namespace OutlierPipeline.Cli;

/// <summary><c>outlier leave</c>: takes a replica that does not come back out of its group.</summary>
internal static class LeaveCommand
{
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(5);

    public static Command Build()
    {
        var kafka = new KafkaArguments();
        var group = new Option<string>("--group")
        {
            DefaultValueFactory = _ => new KafkaOptions().GroupId,
            Description = "The service's consumer group"
        };
        var instance = new Option<string>("--instance") { Required = true, Description = "The replica's Kafka:InstanceId" };
        var topic = new Option<string>("--topic")
        {
            DefaultValueFactory = _ => new KafkaOptions().FramesTopic,
            Description = "Topic that the group reads"
        };
        var command = new Command("leave", "Take a replica with a Kafka:InstanceId, that was stopped and does not come back, out of its " +
            "group: the others get its partitions at once") { group, instance, topic };
        kafka.AddTo(command);
        command.SetAction((options, cancellation) => CommandRunner.RunAsync(() => Task.Run(async () =>
        {
            var properties = kafka.Properties(options);
            string servers = properties["bootstrap.servers"];
            properties.Remove("bootstrap.servers");
            var settings = new KafkaOptions
            {
                BootstrapServers = servers,
                GroupId = options.GetRequiredValue(group),
                FramesTopic = options.GetRequiredValue(topic),
                Client = properties
            };
            if (settings.Validate().FirstOrDefault() is { } fault) throw new CommandException(fault);
            string name = options.GetRequiredValue(instance);
            var health = new BrokerHealth(settings, NullLogger.Instance);
            await RequireAsync(settings, name, health);
            if (!StaticMember.Remove(settings, name, health)) throw new CommandException($"{servers} did not answer in time");
            Console.WriteLine($"{name} has left the group {settings.GroupId}: its partitions go to the others");
            return 0;
        }, cancellation)));
        return command;
    }

    /// <summary>A name that nobody has would join, and move partitions for nothing.</summary>
    private static async Task RequireAsync(KafkaOptions settings, string name, BrokerHealth health)
    {
        using var admin = KafkaClients.Admin(settings, health);
        ConsumerGroupDescription found;
        try
        {
            found = (await admin.DescribeConsumerGroupsAsync([settings.GroupId],
                new DescribeConsumerGroupsOptions { RequestTimeout = Timeout })).ConsumerGroupDescriptions.Single();
        }
        catch (KafkaException e) when (health.Refusal is { } refusal)
        {
            throw new CommandException($"{refusal} ({e.Error.Reason})");
        }
        string[] members = [.. found.Members.Select(member => member.GroupInstanceId).OfType<string>().Where(id => id.Length > 0)];
        if (members.Contains(name)) return;
        throw new CommandException($"the group {settings.GroupId} has no member {name}" + (members.Length == 0
            ? "; it has none with a Kafka:InstanceId" : $"; it has {string.Join(", ", members.Order())}"));
    }
}
