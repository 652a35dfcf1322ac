using System.Globalization;
using OutlierPipeline.Footage;
using OutlierPipeline.Frames;

namespace OutlierPipeline.Evaluation;

/// <summary>What is known of frames, as numbers: how high the sun stood, how fast the car was.</summary>
/// <param name="Names">The K factors.</param>
/// <param name="Frames">Indices in the footage, ascending.</param>
/// <param name="Values">A row of K for each of <paramref name="Frames"/>.</param>
public sealed record FactorTable(IReadOnlyList<string> Names, int[] Frames, float[][] Values)
{
    /// <summary>Reads lines such as <c>00001.jpg,0.4,12</c> below a head such as <c>file,sun height,speed</c>.</summary>
    /// <exception cref="FootageException">It cannot be read, or is about other frames.</exception>
    public static FactorTable Read(string file, DecodedFootage footage)
    {
        string[] lines;
        try
        {
            lines = File.ReadAllLines(file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new FootageException($"--factors {file}: {e.Message.ReplaceLineEndings(" ")}", e);
        }
        string[] names = lines.Length == 0 ? [] : [.. lines[0].Split(',').Skip(1).Select(name => name.Trim())];
        if (names.Length == 0 || lines[0].Split(',')[0].Trim() != "file" || names.Any(string.IsNullOrEmpty))
            throw new FootageException($"{file}: the first line must name the factors: file,sun height,speed");
        var byName = Enumerable.Range(0, footage.Count).ToLookup(i => Path.GetFileName(footage.NameOf(i)), StringComparer.Ordinal);
        var rows = new SortedDictionary<int, float[]>();
        for (int line = 1; line < lines.Length; line++)
        {
            string[] fields = [.. lines[line].Split(',').Select(field => field.Trim())];
            if (fields is [""]) continue;
            float[] row = [.. fields.Skip(1).Select(field => float.TryParse(field, CultureInfo.InvariantCulture, out float value)
                && float.IsFinite(value) ? value : throw new FootageException($"{file}, line {line + 1}: {field} is not a number"))];
            if (row.Length != names.Length)
                throw new FootageException($"{file}, line {line + 1}: has {row.Length} numbers for {names.Length} factors");
            int[] frames = [.. byName[Path.GetFileName(fields[0])].Where(i => Slices.IsNamed(footage.NameOf(i), fields[0]))];
            if (frames.Length == 0) throw new FootageException($"{file}, line {line + 1}: the footage has no frame {fields[0]}");
            foreach (int frame in frames) rows[frame] = row;
        }
        return new FactorTable(names, [.. rows.Keys], [.. rows.Values]);
    }
}
