using System.CommandLine;
using System.Globalization;
using Confluent.Kafka;
using OutlierPipeline.Models;
using Spectre.Console;

namespace OutlierPipeline.Cli;

/// <summary><c>outlier deadletters</c>: what lies in the dead-letter topic, and the way back for what can be scored now.</summary>
internal static class DeadLettersCommand
{
    public static Command Build() =>
        new("deadletters", "Look at frames that could not be scored, and send them back") { BuildList(), BuildReplay() };

    private static Command BuildList()
    {
        var arguments = new Arguments();
        var command = new Command("list", "Count dead letters by reason and camera, with an example of each");
        arguments.AddTo(command);
        command.SetAction((options, cancellation) => CommandRunner.RunAsync(() =>
        {
            List(arguments.Read(options, cancellation), options.GetRequiredValue(arguments.Topic));
            return Task.FromResult(0);
        }));
        return command;
    }

    private static Command BuildReplay()
    {
        var arguments = new Arguments();
        var to = new Option<string>("--to") { DefaultValueFactory = _ => "camera.frames", Description = "The topic that they go back to" };
        var send = new Option<bool>("--send")
        {
            Description = "Send them. Without it nothing is sent: the command only says what it would do"
        };
        var command = new Command("replay", "Send dead letters back to the frames' topic, with their own keys, headers and timestamps. " +
            "Run it twice, and they are scored twice") { to, send };
        arguments.AddTo(command);
        command.SetAction((options, cancellation) => CommandRunner.RunAsync(() =>
            Task.FromResult(Replay(arguments.Read(options, cancellation), arguments.Kafka.Properties(options),
            options.GetRequiredValue(to), options.GetValue(send)))));
        return command;
    }

    private static void List(IEnumerable<DeadLetterRecord> letters, string topic)
    {
        var groups =
            new Dictionary<(string Reason, string Camera), (
            long Count, DateTimeOffset First, DateTimeOffset Last, DeadLetterRecord Example)>();
        foreach (var letter in letters)
        {
            var key = (letter.Reason, letter.Camera ?? "(none)");
            groups[key] = groups.TryGetValue(key, out var known)
                ? (known.Count + 1, letter.Time < known.First
                ? letter.Time
                : known.First, letter.Time > known.Last
                ? letter.Time
                : known.Last, known.Example)
                : (1, letter.Time, letter.Time, letter);
        }
        var table = new Table().AddColumns("reason", "camera", "count", "first", "last", "example", "why");
        foreach (var (key, group) in groups.OrderByDescending(group => group.Value.Count))
        {
            string[] cells = [key.Reason, key.Camera, Number(group.Count), Time(group.First), Time(group.Last), group.Example.Source,
                group.Example.Text];
            table.AddRow([.. cells.Select(cell => new Markup(Markup.Escape(cell)))]);
        }
        if (groups.Count > 0) AnsiConsole.Write(table);
        Console.WriteLine($"{Number(groups.Values.Sum(group => group.Count))} dead letters on {topic}");
    }

    private static int Replay(IEnumerable<DeadLetterRecord> letters, Dictionary<string, string> client, string topic, bool send)
    {
        var config = new ProducerConfig(client) { EnableIdempotence = true, LingerMs = 2 };
        if (!client.ContainsKey("message.timeout.ms")) config.MessageTimeoutMs = 10_000;
        using var producer = new ProducerBuilder<byte[]?, byte[]?>(config).SetLogHandler((_, _) => { }).SetErrorHandler((_, _) =>
            { }).Build();
        long meant = 0;
        long incomplete = 0;
        long failed = 0;
        string reason = "";
        foreach (var letter in letters)
        {
            if (letter.IsIncomplete)
            {
                incomplete++;
                continue;
            }
            meant++;
            if (!send)
            {
                if (meant <= 10) Console.WriteLine($"{letter.Reason}  {letter.Camera ?? "(none)"}  {Time(letter.Time)}  {letter.Source}");
                continue;
            }
            var message = new Message<byte[]?, byte[]?>
            {
                Key = letter.Key,
                Value = letter.Value,
                Headers = letter.Received(),
                Timestamp = new Timestamp(letter.Time)
            };
            // Where it came from: a camera's state is kept by partition.
            var target = new TopicPartition(topic, letter.SourcePartition is { } partition ? partition : Partition.Any);
            while (!TryProduce(target, message)) producer.Poll(TimeSpan.FromMilliseconds(50));
        }
        producer.Flush(TimeSpan.FromSeconds(30));
        if (incomplete > 0) Console.WriteLine($"{Number(incomplete)} were left out: they were too large to be kept whole");
        if (!send)
        {
            Console.WriteLine($"{Number(meant)} dead letters would go to {topic}. Add --send to send them.");
            return 0;
        }
        Console.WriteLine($"{Number(meant - failed)} dead letters sent to {topic}");
        return failed == 0
            ? 0
            : throw new CommandException($"{failed} were not delivered to {topic} at {client["bootstrap.servers"]}: {reason}");

        bool TryProduce(TopicPartition target, Message<byte[]?, byte[]?> message)
        {
            try
            {
                producer.Produce(target, message, report =>
                {
                    if (report.Error.IsError) Fail(report.Error);
                });
                return true;
            }
            catch (ProduceException<byte[]?, byte[]?> e)
            {
                if (e.Error.Code == ErrorCode.Local_QueueFull) return false;
                Fail(e.Error);
                return true;
            }
        }

        void Fail(Error error)
        {
            Interlocked.Increment(ref failed);
            reason = error.Reason;
        }
    }

    private static string Number(long count) => count.ToString(CultureInfo.InvariantCulture);

    private static string Time(DateTimeOffset time) => time.ToString("yyyy-MM-dd HH:mm:ss'Z'", CultureInfo.InvariantCulture);

    /// <summary>What both commands choose by.</summary>
    private sealed class Arguments
    {
        private readonly Option<string?> _reason = new("--reason") { Description = "Only this reason, such as Corrupt" };
        private readonly Option<string?> _camera =
            new("--camera") { Description = "Only cameras whose id fits: * is any text, ? one character" };
        private readonly Option<DateTimeOffset?> _from =
            new("--from") { Description = "Only frames produced at or after this time, such as 2026-11-26T08:00:00Z" };
        private readonly Option<DateTimeOffset?> _until = new("--until") { Description = "Only frames produced at or before this time" };

        public KafkaArguments Kafka { get; } = new();

        public Option<string> Topic { get; } = new("--topic")
        {
            DefaultValueFactory = _ => "camera.frames.dlq",
            Description = "The dead-letter topic"
        };

        public void AddTo(Command command)
        {
            Kafka.AddTo(command);
            foreach (Option option in new Option[] { Topic, _reason, _camera, _from, _until }) command.Options.Add(option);
        }

        public IEnumerable<DeadLetterRecord> Read(ParseResult options, CancellationToken cancellation)
        {
            var camera = options.GetValue(_camera) is { } pattern ? CameraPattern.Parse(pattern) : null;
            var filter = new DeadLetterFilter(options.GetValue(_reason), camera, options.GetValue(_from), options.GetValue(_until));
            return DeadLetters.Read(Kafka.Properties(options), options.GetRequiredValue(Topic), filter, cancellation);
        }
    }
}
