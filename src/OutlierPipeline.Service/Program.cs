using OutlierPipeline;
using OutlierPipeline.Frames;
using OutlierPipeline.Inference;
using OutlierPipeline.Models;
using OutlierPipeline.Service;
using OutlierPipeline.Service.Access;

// Also what a thread of its own throws ends the process with 1, and not with a core dump.
AppDomain.CurrentDomain.UnhandledException += (_, fault) =>
{
    Console.Error.WriteLine(fault.ExceptionObject);
    Environment.Exit(1);
};
try
{
    if (args is ["demo", .. var rest]) return await DemoCommand.RunAsync(rest);
    if (args is ["key", .. var key]) return await KeyCommand.RunAsync(key);
    if (args is ["--help" or "-h" or "-?" or "help", ..])
    {
        Console.WriteLine(ServiceHost.Help);
        return 0;
    }
    await using var app = await ServiceHost.BuildAsync(args, ServiceHost.Configure);
    return await ServiceHost.RunAsync(app);
}
catch (Exception e) when (e is PipelineException or FootageException or ModelPackageException
    or AcceleratorException or IOException or InvalidOperationException { Source: "Microsoft.Extensions.Configuration.Binder" })
{
    // One line that names the fault: a stack trace says nothing to whoever mistyped a path.
    await Console.Error.WriteLineAsync(e.Message.ReplaceLineEndings(" "));
    return 1;
}
catch (Exception e)
{
    // A fault of ours: whoever mends it wants to know where.
    await Console.Error.WriteLineAsync(e.ToString());
    return 1;
}
