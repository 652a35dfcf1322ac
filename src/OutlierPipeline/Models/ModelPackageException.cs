namespace OutlierPipeline.Models;

/// <summary>A model package was refused. The message is one line that names the file and the fault.</summary>
public sealed class ModelPackageException : Exception
{
    public ModelPackageException(string file, string fault, Exception? inner = null)
        : base($"{file}: {fault}", inner)
    {
        File = file;
    }

    /// <summary>The file at fault.</summary>
    public string File { get; }
}
