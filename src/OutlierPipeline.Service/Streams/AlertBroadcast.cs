using System.Text;
using System.Threading.Channels;
using OutlierPipeline.Service.Alerts;

namespace OutlierPipeline.Service.Streams;

/// <summary>One event on its way to listeners: written once, whoever hears it.</summary>
/// <param name="Row">Null for a comment, which says that the stream lives.</param>
/// <param name="Bytes">The event as it goes over the wire.</param>
internal sealed record StreamEvent(AlertRow? Row, StreamPosition After, ReadOnlyMemory<byte> Bytes)
{
    public static StreamEvent Of(AlertRow row, StreamPosition after) =>
        new(row, after, Encoding.UTF8.GetBytes($"id: {after}\ndata: {row.Json}\n\n"));
}

/// <summary>Hands stored alerts to whoever listens on this replica. Thread-safe.</summary>
internal sealed class AlertBroadcast : IDisposable
{
    /// <summary>Events that may wait for one listener; one more, and it is dropped.</summary>
    public const int Capacity = 1024;

    private static readonly TimeSpan Heartbeat = TimeSpan.FromSeconds(15);
    private readonly Lock _gate = new();
    private readonly List<Listener> _listeners = [];
    private readonly TimeProvider _time;
    private readonly ITimer _heartbeat;
    private StreamPosition? _position;

    public AlertBroadcast(TimeProvider time)
    {
        _time = time;
        // One timer for all: a thousand listeners with timers of their own would cost the pipeline more than what they hear.
        _heartbeat = time.CreateTimer(_ => Beat(), null, Heartbeat, Heartbeat);
    }

    /// <summary>Somebody who listens.</summary>
    public sealed class Listener(AlertBroadcast broadcast, AlertFilter filter, StreamPosition position) : IDisposable
    {
        private readonly Channel<StreamEvent> _events =
            Channel.CreateBounded<StreamEvent>(new BoundedChannelOptions(Capacity) { SingleReader = true });

        public ChannelReader<StreamEvent> Events => _events.Reader;

        /// <summary>Events before it were not handed to this listener.</summary>
        public StreamPosition Position { get; } = position;

        /// <summary>Whether it was too slow, and gets nothing more.</summary>
        public bool IsDropped { get; private set; }

        public void Dispose()
        {
            lock (broadcast._gate) broadcast._listeners.Remove(this);
        }

        internal bool Offer(StreamEvent alert)
        {
            if (alert.Row is not null && !filter.Fits(alert.Row.Camera, alert.Row.Severity, alert.Row.Kind)
                || _events.Writer.TryWrite(alert)) return true;
            // Never the reader of the topic waits for a listener.
            IsDropped = true;
            _events.Writer.TryComplete();
            return false;
        }
    }

    /// <summary>Called for each event that is published, muted ones too; on the reader's thread, so it must be quick.</summary>
    public event Action<AlertRow>? Published;

    public string Cluster { get; private set; } = "";

    public string Topic { get; private set; } = "";

    /// <summary>How many listen.</summary>
    public int Listeners
    {
        get
        {
            lock (_gate) return _listeners.Count;
        }
    }

    /// <summary>Where reading begins or begins again.</summary>
    /// <returns>Up to where listeners have been told: less than <paramref name="positions"/> if what was stored last could not be
    /// told.</returns>
    public StreamPosition Begin(string cluster, string topic, IReadOnlyDictionary<int, long> positions)
    {
        lock (_gate)
        {
            (Cluster, Topic) = (cluster, topic);
            return _position ??= StreamPosition.Of(cluster, topic, positions);
        }
    }

    /// <summary>What was stored of a partition, up to before <paramref name="next"/>.</summary>
    public void Publish(int partition, long next, IReadOnlyList<AlertRow> rows)
    {
        lock (_gate)
        {
            foreach (var row in rows)
            {
                _position = _position!.With(partition, row.Offset + 1);
                if (row.IsMuted || _listeners.Count == 0) continue;
                var alert = StreamEvent.Of(row, _position);
                _listeners.RemoveAll(listener => !listener.Offer(alert));
            }
            _position = _position!.With(partition, next);
        }
        foreach (var row in rows) Published?.Invoke(row);
    }

    /// <returns>Null while alerts are not being read.</returns>
    public Listener? Listen(AlertFilter filter)
    {
        lock (_gate)
        {
            if (_position is null) return null;
            var listener = new Listener(this, filter, _position);
            _listeners.Add(listener);
            return listener;
        }
    }

    public void Dispose() => _heartbeat.Dispose();

    private void Beat()
    {
        lock (_gate)
        {
            if (_position is null || _listeners.Count == 0) return;
            var beat = new StreamEvent(null, _position, Encoding.UTF8.GetBytes($": {_time.GetUtcNow():O}\n\n"));
            _listeners.RemoveAll(listener => !listener.Offer(beat));
        }
    }
}
