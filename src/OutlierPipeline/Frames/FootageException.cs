namespace OutlierPipeline.Frames;

/// <summary>Footage could not be found or read. The message is one line that says what to do.</summary>
public sealed class FootageException(string message, Exception? inner = null) : Exception(message, inner);
