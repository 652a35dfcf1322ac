using Confluent.Kafka;
using OutlierPipeline.Frames;
using OutlierPipeline.Inference;
using OutlierPipeline.Models;

namespace OutlierPipeline.Cli;

/// <summary>A run that failed for a reason of the user's. The message is one line that says what to do.</summary>
internal sealed class CommandException(string message) : Exception(message);

/// <summary>Runs a command and turns what goes wrong into one line on standard error and exit code 1.</summary>
internal static class CommandRunner
{
    public static async Task<int> RunAsync(Func<Task<int>> command)
    {
        try
        {
            return await command();
        }
        catch (OperationCanceledException)
        {
            await Console.Error.WriteLineAsync("interrupted");
            return 130;
        }
        catch (Exception e) when (e is CommandException or FootageException or ModelPackageException or AcceleratorException
            or KafkaException or PipelineException or InvalidOperationException { Source: "Confluent.Kafka" } or IOException
            or UnauthorizedAccessException)
        {
            await Console.Error.WriteLineAsync(e.Message.ReplaceLineEndings(" "));
            return 1;
        }
    }
}
