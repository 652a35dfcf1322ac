using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;

namespace OutlierPipeline.Training;

/// <summary>
/// Makes TorchSharp's native library loadable. It was built against a newer libstdc++ than Debian 12's, of which it needs nothing but the
/// version's name: that need is marked weak in our own copy of the file.
/// </summary>
public static class LibTorch
{
    private const string TooNew = "GLIBCXX_3.4.32";
    private const uint VersionNeed = 0x6ffffffe;
    private const ushort Weak = 2;

    /// <summary>PyTorch's libraries, in the order in which they have to be loaded from a directory of a pip-installed PyTorch.</summary>
    private static readonly string[] PyTorch = ["libc10.so", "libtorch_cpu.so", "libc10_cuda.so", "libtorch_cuda.so", "libtorch.so"];

    /// <summary>The library that computes on CPU.</summary>
    private const string Convolutions = "libtorch_cpu.so";

    /// <summary>To be called before TorchSharp is used for the first time.</summary>
    /// <param name="directory">A directory to load libtorch from (<c>LIBTORCH_DIR</c>), or null for the one that came with the
    /// package.</param>
    /// <exception cref="FileNotFoundException">A library is not in the directory.</exception>
    public static void Prepare(string? directory)
    {
        if (!OperatingSystem.IsLinux()) return;
        string library = Path.Combine(AppContext.BaseDirectory, "runtimes", "linux-x64", "native", "libLibTorchSharp.so");
        if (!File.Exists(library)) library = Path.Combine(AppContext.BaseDirectory, "libLibTorchSharp.so");
        if (File.Exists(library)) MakeNeedWeak(library);
        foreach (string name in string.IsNullOrEmpty(directory) ? [] : PyTorch)
        {
            string file = Path.Combine(directory!, name);
            if (!File.Exists(file) && name.Contains("cuda", StringComparison.Ordinal)) continue;
            if (!File.Exists(file))
                throw new FileNotFoundException($"{file}: no such library; LIBTORCH_DIR is the folder torch/lib of a PyTorch installation",
                    file);
            NativeLibrary.Load(file);
        }
    }

    /// <summary>
    /// Has libtorch compute convolutions on CPU itself. On some processors oneDNN, which it would take, reads memory that was never written
    /// where there are few channels: the same seed gives other weights, or none that are numbers (seen with networks that draw pictures, on
    /// Zen 5 with oneDNN 3.7.1; not where malloc fills memory with zeros). TorchSharp has no switch for it. For the whole process, and
    /// networks of many channels train half as fast, so it is for adversarial ones alone.
    /// </summary>
    /// <inheritdoc cref="Prepare" path="/param"/>
    public static unsafe void LeaveOutOneDnn(string? directory)
    {
        string library = string.IsNullOrEmpty(directory) ? Convolutions : Path.Combine(directory, Convolutions);
        if (!NativeLibrary.TryLoad(library, typeof(LibTorch).Assembly, null, out nint handle)
            || !NativeLibrary.TryGetExport(handle, "_ZN2at13globalContextEv", out nint context)
            || !NativeLibrary.TryGetExport(handle, "_ZN2at7Context20setUserEnabledMkldnnEb", out nint enable)) return;
        ((delegate* unmanaged<nint, byte, void>)enable)(((delegate* unmanaged<nint>)context)(), 0);
    }

    /// <summary>
    /// Sets the weak flag of the need in the file's <c>.gnu.version_r</c>; a file that has it, or does not need it, stays as it is.
    /// </summary>
    internal static void MakeNeedWeak(string file)
    {
        byte[] elf = File.ReadAllBytes(file);
        if (FindFlags(elf) is not { } position) return;
        ushort flags = BinaryPrimitives.ReadUInt16LittleEndian(elf.AsSpan(position));
        if ((flags & Weak) != 0) return;
        BinaryPrimitives.WriteUInt16LittleEndian(elf.AsSpan(position), (ushort)(flags | Weak));
        // Aside, then renamed: another process may be loading the file at this moment.
        string aside = $"{file}.{Environment.ProcessId}";
        File.WriteAllBytes(aside, elf);
        if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(aside, File.GetUnixFileMode(file));
        File.Move(aside, file, overwrite: true);
    }

    /// <summary>Where the flags of the need stand in the file, by the ELF-64 layout (System V gABI; LSB, symbol versioning).</summary>
    private static int? FindFlags(ReadOnlySpan<byte> elf)
    {
        if (!elf.StartsWith("\u007fELF"u8) || elf[4] != 2 || elf[5] != 1) return null;
        int sections = (int)BinaryPrimitives.ReadInt64LittleEndian(elf[0x28..]);
        int size = BinaryPrimitives.ReadUInt16LittleEndian(elf[0x3a..]);
        int count = BinaryPrimitives.ReadUInt16LittleEndian(elf[0x3c..]);
        for (int i = 0; i < count; i++)
        {
            var section = elf.Slice(sections + i * size, size);
            if (BinaryPrimitives.ReadUInt32LittleEndian(section[4..]) != VersionNeed) continue;
            int link = (int)BinaryPrimitives.ReadUInt32LittleEndian(section[0x28..]);
            int strings = Offset(elf.Slice(sections + link * size, size));
            for (int need = Offset(section); ;)
            {
                int versions = BinaryPrimitives.ReadUInt16LittleEndian(elf[(need + 2)..]);
                int entry = need + (int)BinaryPrimitives.ReadUInt32LittleEndian(elf[(need + 8)..]);
                for (int k = 0; k < versions; k++)
                {
                    int name = strings + (int)BinaryPrimitives.ReadUInt32LittleEndian(elf[(entry + 8)..]);
                    if (elf[name..].StartsWith(Encoding.ASCII.GetBytes(TooNew + "\0"))) return entry + 4;
                    entry += (int)BinaryPrimitives.ReadUInt32LittleEndian(elf[(entry + 12)..]);
                }
                int next = (int)BinaryPrimitives.ReadUInt32LittleEndian(elf[(need + 12)..]);
                if (next == 0) break;
                need += next;
            }
        }
        return null;
    }

    private static int Offset(ReadOnlySpan<byte> section) => (int)BinaryPrimitives.ReadInt64LittleEndian(section[0x18..]);
}
