using System.Runtime.InteropServices;

namespace OutlierPipeline;

/// <summary>Libraries that are used where the machine has them.</summary>
internal static class NativeLibraries
{
    /// <summary>The first of these that can be loaded; 0 if none can.</summary>
    public static nint Load(params ReadOnlySpan<string> names)
    {
        foreach (string name in names)
        {
            if (NativeLibrary.TryLoad(name, out nint library)) return library;
        }
        return 0;
    }

    /// <summary>A function's address; 0 without the library.</summary>
    public static nint Export(nint library, string name) => library == 0 ? 0 : NativeLibrary.GetExport(library, name);
}
