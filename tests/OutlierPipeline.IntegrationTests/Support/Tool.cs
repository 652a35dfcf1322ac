using System.Diagnostics;
using System.Text;

namespace OutlierPipeline.IntegrationTests.Support;

/// <summary>Runs programs as a user does.</summary>
internal static class Tool
{
    public static string Outlier => Built("OutlierPipeline.Cli", "outlier");

    public static string Trainer => Built("OutlierPipeline.Training", "OutlierPipeline.Training");

    public static string Service => Built("OutlierPipeline.Service", "OutlierPipeline.Service");

    public static string Benchmarks => Built("OutlierPipeline.Benchmarks", "OutlierPipeline.Benchmarks", "tests");

    /// <summary>Runs to the end; its exit code, standard output and standard error.</summary>
    public static async Task<(int Code, string Output, string Error)> RunAsync(string program, string[] arguments, byte[]? input = null,
        string? directory = null, TimeSpan? limit = null)
    {
        using var process = Start(program, arguments, directory);
        var output = process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        var error = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        if (input is not null) await process.StandardInput.BaseStream.WriteAsync(input, TestContext.Current.CancellationToken);
        process.StandardInput.Close();
        using var end = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        end.CancelAfter(limit ?? TimeSpan.FromMinutes(6));
        try
        {
            await process.WaitForExitAsync(end.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException($"{program} {string.Join(' ', arguments)} did not end");
        }
        return (process.ExitCode, await output, await error);
    }

    public static Task<(int Code, string Output, string Error)> OutlierAsync(params string[] arguments) =>
        RunAsync("dotnet", ["exec", Outlier, .. arguments]);

    public static Process Start(string program, string[] arguments, string? directory = null)
    {
        var start = new ProcessStartInfo(program)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            StandardOutputEncoding = Encoding.UTF8,
            WorkingDirectory = directory ?? Repository.Root,
        };
        foreach (string argument in arguments) start.ArgumentList.Add(argument);
        return Process.Start(start)!;
    }

    private static string Built(string project, string assembly, string folder = "src") =>
        Path.Combine(AppContext.BaseDirectory, "..", "..", "..", "..", "..", folder, project, "bin", Configuration, "net10.0",
        assembly + ".dll");

    public static string Configuration => new DirectoryInfo(AppContext.BaseDirectory).Parent!.Name;
}
