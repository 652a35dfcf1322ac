using OutlierPipeline;
using OutlierPipeline.Inference;
using OutlierPipeline.Service;
using OutlierPipeline.Service.Access;

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
    await app.RunAsync();
    return Environment.ExitCode;
}
catch (Exception e) when (e is PipelineException or OutlierPipeline.Frames.FootageException or ModelPackageException or AcceleratorException or IOException or InvalidOperationException { Source: "Microsoft.Extensions.Configuration.Binder" })
{
    // One line that names the fault: a stack trace says nothing to whoever mistyped a path.
    await Console.Error.WriteLineAsync(e.Message.ReplaceLineEndings(" "));
    return 1;
}
