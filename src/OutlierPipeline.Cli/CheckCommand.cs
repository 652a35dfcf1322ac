using System.CommandLine;
using OutlierPipeline.Models;
using OutlierPipeline.Pipeline;
using Spectre.Console;

namespace OutlierPipeline.Cli;

/// <summary><c>outlier check</c>: one line a check, with its remedy.</summary>
internal static class CheckCommand
{
    public static Command Build()
    {
        var kafka = new KafkaArguments();
        var create = new Option<bool>("--create") { Description = "Make the topics that are missing, and add the partitions that are" };
        var partitions = new Option<int>("--partitions")
        {
            DefaultValueFactory = _ => 8,
            Description = "Partitions of a topic that --create makes"
        };
        var replication = new Option<short>("--replication")
        {
            DefaultValueFactory = _ => -1,
            Description = "Replicas of a topic that --create makes; -1 takes the broker's default"
        };
        var group = new Option<string>("--group")
        {
            DefaultValueFactory = _ => new KafkaOptions().GroupId,
            Description = "The service's consumer group"
        };
        var exactly = new Option<bool>("--exactly-once") { Description = "Check what Kafka:Delivery=ExactlyOnce needs" };
        var model = new Option<string[]>("--model")
        {
            AllowMultipleArgumentsPerToken = true,
            Description = "Model packages as in the service: DIR for every camera, PATTERN=DIR for some"
        };
        var command = new Command("check", "Check broker, permissions, topics and frames; each line says what to do") { create, partitions,
            replication, group, exactly, model };
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
                Delivery = options.GetValue(exactly) ? Delivery.ExactlyOnce : Delivery.AtLeastOnce,
                Client = properties
            };
            if (settings.Validate().FirstOrDefault() is { } fault) throw new CommandException(fault);
            var report = new CheckReport(AnsiConsole.Console);
            using var cluster = new ClusterCheck(settings, report);
            if (!cluster.Connect()) return report.Finish();
            if (options.GetValue(create)) await cluster.CreateTopicsAsync(options.GetValue(partitions), options.GetValue(replication));
            bool canSample = await cluster.CheckTopicsAsync();
            await cluster.CheckPermissionsAsync();
            if (canSample) new FrameSampler(settings, Models(options.GetValue(model) ?? []), report).Sample();
            return report.Finish();
        }, cancellation)));
        return command;
    }

    private static ModelOptions? Models(string[] arguments)
    {
        if (arguments.Length == 0) return null;
        return new ModelOptions
        {
            Path = arguments.LastOrDefault(argument => !argument.Contains('=', StringComparison.Ordinal)) ?? "",
            Cameras = arguments.Where(argument => argument.Contains('=', StringComparison.Ordinal)).Select(argument =>
                argument.Split('=', 2)).ToDictionary(pair => pair[0], pair => pair[1]),
        };
    }
}
