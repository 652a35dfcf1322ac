using Confluent.Kafka;
using OutlierPipeline.Pipeline;

namespace OutlierPipeline.Tests.Pipeline;

public sealed class PayloadBudgetTests
{
    [Fact]
    public void Payloads_are_read_into_rented_memory_without_an_allocation_each()
    {
        var budget = new PayloadBudget(1_000_000);
        byte[] value = [.. Enumerable.Range(0, 8192).Select(i => (byte)i)];
        for (int i = 0; i < 100; i++) budget.Return(budget.Deserialize(value, false, SerializationContext.Empty));
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 1000; i++)
        {
            var payload = budget.Deserialize(value, false, SerializationContext.Empty);
            if (!payload.Span.SequenceEqual(value)) throw new InvalidOperationException("the payload is not what was received");
            budget.Return(payload);
        }
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    [Fact]
    public void What_is_held_counts_until_it_is_returned()
    {
        var budget = new PayloadBudget(10_000);
        var payloads = Enumerable.Range(0, 3).Select(_ => budget.Deserialize(new byte[5000], false, SerializationContext.Empty)).ToArray();
        Assert.True(budget.IsExceeded);
        foreach (var payload in payloads) budget.Return(payload);
        Assert.False(budget.IsExceeded);
    }
}
