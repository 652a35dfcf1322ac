using System.Globalization;
using BenchmarkDotNet.Running;
using OutlierPipeline.Benchmarks;
using OutlierPipeline.Benchmarks.Hostile;
using OutlierPipeline.Benchmarks.Soak;

CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
return args switch
{
    ["end-to-end", .. var rest] => await EndToEnd.RunAsync(rest),
    ["streams", .. var rest] => Streams.Run(rest),
    ["level", var model] => LevelDelays.Run(model),
    ["spots", var model, .. var rest] => await Spots.RunAsync(model, rest),
    ["factors", .. var rest] => Factors.Run(rest),
    ["samples", .. var rest] => await Samples.RunAsync(rest),
    ["unexpected", .. var rest] => await Unexpected.RunAsync(rest),
    ["kinds", .. var rest] => await Kinds.RunAsync(rest),
    ["scoring", .. var rest] => ScoringShare.Run(rest),
    ["listeners", .. var rest] => await Listeners.RunAsync(rest),
    ["listen", var address, var count] => await Listeners.ListenAsync(address, int.Parse(count, CultureInfo.InvariantCulture)),
    ["fuzz", .. var rest] => FuzzCommand.Run(rest),
    [HostileProcess.Command, var target] => HostileProcess.Serve(target),
    ["restore", .. var rest] => await Restore.RunAsync(rest),
    ["soak", .. var rest] => await SoakCommand.RunAsync(rest),
    ["broker", var partitions] => BrokerProcess.Serve(int.Parse(partitions, CultureInfo.InvariantCulture)),
    _ => BenchmarkSwitcher.FromAssembly(typeof(EndToEnd).Assembly).Run(args).Any(summary => summary.HasCriticalValidationErrors) ? 1 : 0,
};
