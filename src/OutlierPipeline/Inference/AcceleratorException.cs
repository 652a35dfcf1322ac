namespace OutlierPipeline.Inference;

/// <summary>The accelerator that the configuration names cannot be used, or failed. The message is one line that says what to do.</summary>
public class AcceleratorException(string message, Exception? inner = null) : Exception(message, inner);
