namespace OutlierPipeline.Pipeline;

/// <summary>
/// How many cameras are watched at most, since ids are what somebody sends: a new one is let in as long as there is room, which cameras
/// make that were seen once and have no incident, the oldest first. For the detection thread.
/// </summary>
internal sealed class CameraAdmission(PartitionTable partitions, int maxCameras)
{
    /// <summary>Cameras in the order of their first frame, some of which were not seen again.</summary>
    private readonly Queue<(PartitionAssignment Assignment, string Camera)> _once = new();

    /// <summary>Takes over the cameras that a restored partition brings with it.</summary>
    public void Enter(PartitionAssignment assignment)
    {
        // Assignments that have ended are not kept for the cameras that they had.
        for (int left = _once.Count; left > 0; left--)
        {
            if (_once.Dequeue() is var entry && entry.Assignment.IsCurrent) _once.Enqueue(entry);
        }
        foreach (var (camera, state) in assignment.Restored)
        {
            if (IsOnce(state)) _once.Enqueue((assignment, camera));
        }
    }

    /// <summary>Whether a camera may be watched: one that is known may.</summary>
    public bool IsAdmitted(PartitionAssignment assignment, string camera)
    {
        if (assignment.Detectors.ContainsKey(camera) || assignment.Restored.ContainsKey(camera)) return true;
        if (partitions.Current.Sum(other => other.Cameras) >= maxCameras && !TryEvict()) return false;
        _once.Enqueue((assignment, camera));
        return true;
    }

    private bool TryEvict()
    {
        while (_once.TryDequeue(out var candidate))
        {
            var (assignment, camera) = candidate;
            if (!assignment.IsCurrent) continue;
            lock (assignment.Gate)
            {
                bool isOnce = assignment.Detectors.TryGetValue(camera, out var detector) ? detector.IsOnce
                    : assignment.Restored.TryGetValue(camera, out byte[]? state) && IsOnce(state);
                if (!isOnce) continue;
                assignment.Detectors.Remove(camera);
                assignment.Restored.Remove(camera);
                assignment.Evicted.Add(camera);
                return true;
            }
        }
        return false;
    }

    private static bool IsOnce(ReadOnlySpan<byte> state) => state.IndexOf("\"once\":true"u8) >= 0;
}
