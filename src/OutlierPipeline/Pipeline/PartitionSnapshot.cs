using System.Buffers;
using OutlierPipeline.Telemetry;

namespace OutlierPipeline.Pipeline;

/// <summary>A partition at one moment between two frames: what a commit of it writes.</summary>
/// <param name="Offset">Every frame below it has been seen by the detectors.</param>
/// <param name="Below">The states have seen frames up to here, beyond <paramref name="Offset"/> where lanes differ in speed.</param>
/// <param name="States">State records, and tombstones, of what changed.</param>
/// <param name="Alone">Completes when the alerts that belong to no frame are acknowledged.</param>
internal readonly record struct PartitionSnapshot(long Offset, long Below, List<(string Camera, byte[]? Record)> States, Task Alone)
{
    /// <summary>Takes it; what changed since the last one counts as written from now on.</summary>
    /// <param name="forgetAfter">Cameras that were last seen so long ago are deleted.</param>
    public static PartitionSnapshot Take(PartitionAssignment assignment, TimeSpan forgetAfter, DateTimeOffset now)
    {
        var states = new List<(string, byte[]?)>();
        lock (assignment.Gate)
        {
            long offset = assignment.Ledger.ProcessedFrontier;
            long below = offset;
            List<string>? gone = null;
            var forget = now - forgetAfter;
            foreach (var (camera, detector) in assignment.Detectors)
            {
                if (detector.IsForgotten || assignment.Watch.HasCaughtUp && detector.WrittenAt < forget && !detector.HasOpenIncident
                    && !detector.Changed)
                {
                    (gone ??= []).Add(camera);
                    continue;
                }
                if (!detector.Changed) continue;
                var record = new ArrayBufferWriter<byte>(1024);
                detector.WriteState(record, now);
                states.Add((camera, record.WrittenSpan.ToArray()));
                below = Math.Max(below, detector.NextOffset);
            }
            foreach (string camera in gone ?? [])
            {
                assignment.Detectors.Remove(camera);
                states.Add((camera, null));
            }
            foreach (string camera in assignment.Evicted.Where(camera => !assignment.Detectors.ContainsKey(camera)
                && !assignment.Restored.ContainsKey(camera))) states.Add((camera, null));
            assignment.Evicted.Clear();
            // After a reset every camera's state goes with it: a crash in between must not leave the new id beside old offsets.
            if (assignment.TopicId is { } id && (!assignment.IsReset || assignment.IsAwake))
                assignment.Reserve(TopicIdentity.Key, TopicIdentity.Write(id));
            foreach (var (key, (value, isWritten)) in assignment.Reserved.ToArray())
            {
                if (isWritten) continue;
                states.Add((key, value));
                assignment.Reserved[key] = (value, true);
            }
            if (assignment.Watch.HasCaughtUp)
            {
                foreach (string camera in assignment.TakeForgotten(forget)) states.Add((camera, null));
            }
            PipelineTelemetry.CountState(states.Sum(state => (long)(state.Item2?.Length ?? 0)));
            return new PartitionSnapshot(offset, below, states, assignment.Alone);
        }
    }

    /// <summary>What was taken did not reach the broker: all of it is written again.</summary>
    public static void MarkChanged(PartitionAssignment assignment)
    {
        lock (assignment.Gate)
        {
            foreach (var detector in assignment.Detectors.Values) detector.MarkChanged();
            foreach (var (key, (value, _)) in assignment.Reserved.ToArray()) assignment.Reserved[key] = (value, false);
        }
    }
}
