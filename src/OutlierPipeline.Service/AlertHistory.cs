using OutlierPipeline.Detection;

namespace OutlierPipeline.Service;

/// <summary>The latest alerts of this process, for its status page; the topic <c>ood.alerts</c> is the truth.</summary>
internal sealed class AlertHistory
{
    private const int Kept = 100;
    private readonly Lock _gate = new();
    private readonly Queue<AlertStep> _alerts = [];

    /// <summary>Called for each alert as it is produced, on the pipeline's thread.</summary>
    public event Action<AlertStep>? Added;

    public void Add(AlertStep alert)
    {
        lock (_gate)
        {
            _alerts.Enqueue(alert);
            if (_alerts.Count > Kept) _alerts.Dequeue();
        }
        Added?.Invoke(alert);
    }

    /// <summary>The latest first.</summary>
    public AlertStep[] Snapshot()
    {
        lock (_gate) return [.. _alerts.Reverse()];
    }
}
