using Spectre.Console;

namespace OutlierPipeline.Cli;

/// <summary>Prints the checks and remembers whether all is well.</summary>
internal sealed class CheckReport(IAnsiConsole console)
{
    private int _faults;

    public void Good(string what, string found) => console.MarkupLineInterpolated($"[green]ok[/]    {what}: {found}");

    public void Unknown(string what, string why) => console.MarkupLineInterpolated($"[yellow]?[/]     {what}: {why}");

    public void Fault(string what, string found, string remedy)
    {
        _faults++;
        console.MarkupLineInterpolated($"[red]fault[/] {what}: {found}. {remedy}");
    }

    public void Show(Table table) => console.Write(table);

    /// <returns>The exit code.</returns>
    public int Finish()
    {
        console.MarkupLineInterpolated($"{(_faults == 0 ? "all is well" : $"{_faults} faults")}");
        return _faults == 0 ? 0 : 1;
    }
}
