namespace OutlierPipeline.Pipeline;

/// <summary>The first error that ended a stage: the pipeline ends with it. Thread-safe.</summary>
internal sealed class PipelineFailure
{
    private readonly TaskCompletionSource _first = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Fails when a stage has; never completes otherwise.</summary>
    public Task Task => _first.Task;

    public bool HasHappened => _first.Task.IsFaulted;

    public void Report(Exception error) => _first.TrySetException(error);
}
