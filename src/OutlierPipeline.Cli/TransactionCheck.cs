using System.Globalization;
using Confluent.Kafka;
using Confluent.Kafka.Admin;
using Microsoft.Extensions.Logging.Abstractions;
using OutlierPipeline.Pipeline;

namespace OutlierPipeline.Cli;

/// <summary>What transactions need: the id, replicas in sync, time. Faults only with <c>--exactly-once</c>.</summary>
internal sealed class TransactionCheck(KafkaOptions kafka, CheckReport report, IAdminClient admin)
{
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan DescribeTimeout = TimeSpan.FromSeconds(2);

    public async Task RunAsync()
    {
        await CheckIdAsync();
        if (kafka.Delivery != Delivery.ExactlyOnce) return;
        await CheckReplicasAsync();
        await CheckTimeAsync();
    }

    /// <summary>Tried with an id of its own below the group's name, as the service's are: the service's own would be fenced.</summary>
    private async Task CheckIdAsync()
    {
        string id = $"{kafka.GroupId}-check";
        string what = $"transactional id {id}";
        try
        {
            using var producer = KafkaClients.Transactional(kafka, id, new BrokerHealth(kafka, NullLogger.Instance));
            await Task.Run(() => producer.InitTransactions(Timeout));
            report.Good(what, "WRITE");
        }
        catch (KafkaException e) when (e.Error.Code == ErrorCode.TransactionalIdAuthorizationFailed)
        {
            string remedy = $"kafka-acls --add --operation Write --transactional-id {kafka.GroupId} --resource-pattern-type prefixed";
            if (kafka.Delivery == Delivery.ExactlyOnce) report.Fault(what, "WRITE is not allowed", $"{remedy} for the service's user.");
            else report.Unknown(what, $"WRITE is not allowed. Only Kafka:Delivery=ExactlyOnce needs it: {remedy} for the service's user");
        }
        catch (KafkaException e)
        {
            report.Unknown(what, $"the broker does not say ({e.Error.Reason})");
        }
    }

    /// <summary>A transaction is committed only where as many replicas are in sync as the topic asks for.</summary>
    private async Task CheckReplicasAsync()
    {
        foreach (string topic in kafka.Topics.Skip(1))
        {
            var partitions = admin.GetMetadata(topic, Timeout).Topics.SelectMany(found => found.Partitions).ToList();
            if (partitions.Count == 0) continue;
            int inSync = partitions.Min(partition => partition.InSyncReplicas.Length);
            string what = $"{topic} replicas in sync";
            if (await ValueAsync(ResourceType.Topic, topic, "min.insync.replicas") is not { } least)
                report.Unknown(what, $"{inSync}; the broker does not say how many are needed (min.insync.replicas)");
            else if (inSync < least) report.Fault(what, $"{inSync}, and min.insync.replicas is {least}",
                "No transaction can be committed until the brokers that are away are back.");
            else report.Good(what, $"{inSync}, at least {least} are needed");
        }
    }

    private async Task CheckTimeAsync()
    {
        const string Setting = "transaction.max.timeout.ms";
        string broker = admin.GetMetadata(Timeout).OriginatingBrokerId.ToString(CultureInfo.InvariantCulture);
        double ours = double.Parse(kafka.Client.GetValueOrDefault("transaction.timeout.ms", KafkaClients.TransactionTimeout),
            CultureInfo.InvariantCulture);
        if (await ValueAsync(ResourceType.Broker, broker, Setting) is not { } most)
            report.Unknown("transaction.timeout.ms", $"{ours}; the broker does not say how long it may be ({Setting})");
        else if (ours > most) report.Fault("transaction.timeout.ms", $"{ours}, and the brokers take at most {most} ({Setting})",
            $"Set Kafka:Client:transaction.timeout.ms to {most} at most.");
        else report.Good("transaction.timeout.ms", $"{ours} ms, so long readers wait at most for what a crash left open");
    }

    private async Task<double?> ValueAsync(ResourceType type, string name, string setting)
    {
        try
        {
            var described = await admin.DescribeConfigsAsync([new ConfigResource { Type = type, Name = name }],
                new DescribeConfigsOptions { RequestTimeout = DescribeTimeout });
            return described[0].Entries.TryGetValue(setting, out var entry)
                && double.TryParse(entry.Value, CultureInfo.InvariantCulture, out double value) ? value : null;
        }
        catch (KafkaException)
        {
            return null;
        }
    }
}
