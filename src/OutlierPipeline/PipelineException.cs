namespace OutlierPipeline;

/// <summary>The pipeline cannot start as it is configured. The message is one line that says what to do.</summary>
public sealed class PipelineException(string message, Exception? inner = null) : Exception(message, inner);
