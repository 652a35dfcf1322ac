using OutlierPipeline.Training;

var arguments = new TrainCommand().Build().Parse(args);
// System.CommandLine ends with 1 on wrong use; here that means a run that failed.
return arguments.Errors.Count > 0 ? await ShowAsync() : await arguments.InvokeAsync();

async Task<int> ShowAsync()
{
    await arguments.InvokeAsync();
    return 2;
}
