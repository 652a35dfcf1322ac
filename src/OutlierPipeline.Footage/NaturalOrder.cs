namespace OutlierPipeline.Footage;

/// <summary>
/// Names as people count: <c>frame_2</c> before <c>frame_10</c>, <c>Frame_1</c> before <c>Frame_1(2)</c> before <c>Frame_1(10)</c>, folder
/// by folder.
/// </summary>
internal sealed class NaturalOrder : IComparer<string>
{
    public static readonly NaturalOrder Instance = new();

    /// <summary>Digits of the seconds since 1970 or more: what follows their point is a fraction, and no number of its own.</summary>
    private const int EpochDigits = 9;

    public int Compare(string? x, string? y)
    {
        string[] left = (x ?? "").Split(Path.DirectorySeparatorChar);
        string[] right = (y ?? "").Split(Path.DirectorySeparatorChar);
        for (int i = 0; i < Math.Min(left.Length, right.Length); i++)
        {
            // The name without its extension first: of 'a.jpg' and 'a(2).jpg' the shorter comes first.
            int order = CompareText(Path.GetFileNameWithoutExtension(left[i]), Path.GetFileNameWithoutExtension(right[i]));
            if (order == 0) order = CompareText(left[i], right[i]);
            if (order != 0) return order;
        }
        return left.Length != right.Length ? left.Length.CompareTo(right.Length) : string.CompareOrdinal(x, y);
    }

    private static int CompareText(ReadOnlySpan<char> x, ReadOnlySpan<char> y)
    {
        bool isFraction = false;
        while (x.Length > 0 && y.Length > 0)
        {
            var left = Piece(x);
            var right = Piece(y);
            bool areNumbers = char.IsAsciiDigit(left[0]) && char.IsAsciiDigit(right[0]);
            int order = !areNumbers ? left.CompareTo(right, StringComparison.OrdinalIgnoreCase)
                : isFraction ? left.SequenceCompareTo(right)
                : CompareNumbers(left, right);
            if (order != 0) return order;
            x = x[left.Length..];
            y = y[right.Length..];
            isFraction = areNumbers && left.Length >= EpochDigits && x.StartsWith(".") && y.StartsWith(".") || isFraction && left is ".";
        }
        return x.Length.CompareTo(y.Length);
    }

    /// <summary>What a name begins with: digits, or all up to the next digit.</summary>
    private static ReadOnlySpan<char> Piece(ReadOnlySpan<char> text)
    {
        int length = char.IsAsciiDigit(text[0]) ? text.IndexOfAnyExceptInRange('0', '9') : text.IndexOfAnyInRange('0', '9');
        return length < 0 ? text : text[..length];
    }

    private static int CompareNumbers(ReadOnlySpan<char> x, ReadOnlySpan<char> y)
    {
        x = x.TrimStart('0');
        y = y.TrimStart('0');
        return x.Length != y.Length ? x.Length.CompareTo(y.Length) : x.SequenceCompareTo(y);
    }
}
