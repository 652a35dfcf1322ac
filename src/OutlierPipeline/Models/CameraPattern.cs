using System.Buffers;
using System.Collections.Concurrent;
using System.Text;

namespace OutlierPipeline.Models;

/// <summary>
/// Which cameras are meant, as it stands in configuration, filters and subscriptions: <c>*</c> is any text, <c>?</c> one character, and
/// case counts. A star, a question mark or a backslash of the id itself stands behind a backslash. Read once; whether an id fits takes at
/// most the product of the two lengths, whoever wrote the pattern.
/// </summary>
internal sealed class CameraPattern
{
    /// <summary>The longest pattern that anybody needs: a camera's id has at most 128 bytes, and each may stand behind a
    /// backslash.</summary>
    public const int MaxLength = 256;

    private const char Escape = '\\';
    private static readonly SearchValues<char> Special = SearchValues.Create("*?\\");
    /// <summary>A configuration's patterns: few, asked for each frame, and read once.</summary>
    private static readonly ConcurrentDictionary<string, CameraPattern> Configured = new();

    private static readonly Rune AnyText = new('*');
    private static readonly Rune AnyOne = new('?');

    /// <summary>The pattern, character by character; a wildcard is told apart from the character that it looks like.</summary>
    private readonly (Rune Character, bool IsWildcard)[] _steps;

    private CameraPattern(string text)
    {
        Text = text;
        _steps = [.. Read(text)];
    }

    /// <summary>As it was written.</summary>
    public string Text { get; }

    /// <summary>Reads what a caller gave.</summary>
    /// <exception cref="FormatException">It is longer than <see cref="MaxLength"/>, or has control characters, which no camera's id
    /// has.</exception>
    public static CameraPattern Parse(string text) =>
        text.Length > MaxLength
            ? throw new FormatException($"the pattern of cameras has {text.Length} characters; expected at most {MaxLength}")
        : text.Any(char.IsControl) ? throw new FormatException("the pattern of cameras has control characters")
        : new CameraPattern(text);

    /// <summary>Reads what was configured or stored.</summary>
    public static CameraPattern Of(string text) => new(text);

    /// <summary>The pattern of one camera alone, whatever its id looks like.</summary>
    public static CameraPattern Exactly(string camera)
    {
        if (!camera.AsSpan().ContainsAny(Special)) return new CameraPattern(camera);
        var text = new StringBuilder(camera.Length + 8);
        foreach (char letter in camera)
        {
            if (Special.Contains(letter)) text.Append(Escape);
            text.Append(letter);
        }
        return new CameraPattern(text.ToString());
    }

    /// <summary>The longest pattern of the configuration that fits, or null.</summary>
    public static string? Longest(IEnumerable<string> patterns, string camera)
    {
        string? best = null;
        foreach (string pattern in patterns)
        {
            if ((best is null || pattern.Length > best.Length) && Configured.GetOrAdd(pattern, Of).Fits(camera)) best = pattern;
        }
        return best;
    }

    /// <summary>Whether a camera is meant.</summary>
    public bool Fits(string camera)
    {
        int step = 0;
        int at = 0;
        // Where the last star stands, and up to where it has swallowed: only the last one is ever tried again, since an earlier one could
        // reach nothing that it cannot.
        int star = -1;
        int swallowed = 0;
        while (at < camera.Length)
        {
            if (Rune.DecodeFromUtf16(camera.AsSpan(at), out var letter, out int length) != OperationStatus.Done) length = 1;
            if (step < _steps.Length && _steps[step] is var (character, isWildcard)
                && (isWildcard ? character == AnyOne : character == letter))
            {
                step++;
                at += length;
            }
            else if (step < _steps.Length && _steps[step] == (AnyText, true))
            {
                star = step++;
                swallowed = at;
            }
            else if (star >= 0)
            {
                step = star + 1;
                if (Rune.DecodeFromUtf16(camera.AsSpan(swallowed), out _, out length) != OperationStatus.Done) length = 1;
                at = swallowed += length;
            }
            else
            {
                return false;
            }
        }
        while (step < _steps.Length && _steps[step] == (AnyText, true)) step++;
        return step == _steps.Length;
    }

    /// <summary>The same for another language of patterns, such as SQL's.</summary>
    /// <param name="anyText">What stands there for any text.</param>
    /// <param name="anyOne">What stands there for one character.</param>
    /// <param name="literal">How a character stands there.</param>
    public string Translate(string anyText, string anyOne, Func<string, string> literal) =>
        string.Concat(_steps.Select(step =>
            step.IsWildcard ? step.Character == AnyText ? anyText : anyOne : literal(step.Character.ToString())));

    public override string ToString() => Text;

    private static IEnumerable<(Rune Character, bool IsWildcard)> Read(string text)
    {
        bool isEscaped = false;
        bool isAfterStar = false;
        foreach (var letter in text.EnumerateRunes())
        {
            bool isSpecial = letter.IsBmp && Special.Contains((char)letter.Value);
            // Before anything else a backslash is a backslash.
            if (isEscaped && !isSpecial) yield return (new Rune(Escape), false);
            if (!isEscaped && letter.Value == Escape)
            {
                isEscaped = true;
                isAfterStar = false;
                continue;
            }
            bool isWildcard = !isEscaped && isSpecial;
            bool isStar = isWildcard && letter == AnyText;
            // Stars in a row are one.
            if (!(isStar && isAfterStar)) yield return (letter, isWildcard);
            isAfterStar = isStar;
            isEscaped = false;
        }
        if (isEscaped) yield return (new Rune(Escape), false);
    }
}
