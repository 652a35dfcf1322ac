namespace OutlierPipeline.Models;

/// <summary>Command lines as a shell takes them, so that those in model cards can be pasted.</summary>
public static class ShellText
{
    /// <summary>Arguments in a row, each in single quotes where a shell would read something else into it.</summary>
    public static string Join(IEnumerable<string> arguments) => string.Join(' ', arguments.Select(Quote));

    private static string Quote(string argument) =>
        argument.Length > 0 && !argument.Any(character => " \t\n[]{}()'\"`$&|;<>*?~#!\\".Contains(character, StringComparison.Ordinal))
            ? argument
            : "'" + argument.Replace("'", "'\\''", StringComparison.Ordinal) + "'";
}
