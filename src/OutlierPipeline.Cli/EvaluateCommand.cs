using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Text.Json;
using OutlierPipeline.Cli.Evaluation;
using OutlierPipeline.Detection;
using OutlierPipeline.Evaluation;
using OutlierPipeline.Footage;
using OutlierPipeline.Models;
using Spectre.Console;

namespace OutlierPipeline.Cli;

/// <summary><c>outlier evaluate</c>: how well a package tells outliers from normal frames, with a report to look at.</summary>
internal static class EvaluateCommand
{
    private const string Setting = "FalseAlarmProbability=";

    public static Command Build()
    {
        var model = new Option<string>("--model") { Description = "Directory of a model package" };
        var leaveOut = new LeaveOneDriveOut();
        var scores = new Option<string?>("--scores") { Description = $"For --what-if: {StoredScore.Kinds}" };
        var whatIf = new Option<string?>("--what-if")
        {
            Description = "FalseAlarmProbability=1e-4,1e-6,…: run the detector with other " +
                "settings over stored scores, without the network, and show incidents a day against delay"
        };
        var normal = new Option<string[]>("--normal")
        {
            AllowMultipleArgumentsPerToken = true,
            Description = $"Normal footage that neither trained nor calibrated: {FootageSource.Kinds}"
        };
        var outlier = new Option<string[]>("--outlier")
        {
            AllowMultipleArgumentsPerToken = true,
            Description = "NAME=FOOTAGE of outliers; may be given several times"
        };
        var corruptions = new Option<bool>("--corruptions")
        {
            Description = "Also corrupt normal frames: noise, blur, weather, digital, camera faults, obstacles, at severities 1 to 5"
        };
        var frames = new Option<int>("--corruption-frames")
        {
            DefaultValueFactory = _ => 200,
            Description = "Normal frames that each corruption is shown on, evenly spread"
        };
        var output = new Option<DirectoryInfo>("--out") { Description = "Directory for report.html, report.json and scores.csv" };
        var camera = new Option<string>("--camera")
        {
            DefaultValueFactory = _ => "",
            Description = "Score as this camera, with its own calibration and mask if the package has them"
        };
        var level = new Option<double>("--level")
        {
            DefaultValueFactory = _ => 0.05,
            Description = "The level of the p-value at which false alarms are counted"
        };
        var rate = new Option<double?>("--fps") { Description = "Frames a second of the footage; by default a video's own times, else 10" };
        var seed = new Option<int>("--seed") { DefaultValueFactory = _ => 1, Description = "Seed of corruptions and bootstrap" };
        var slices = new Option<string[]>("--slices")
        {
            AllowMultipleArgumentsPerToken = true,
            Description = $"Also judge parts of the normal frames: {Slices.Kinds}"
        };
        var chose = new Option<string[]>("--chose")
        {
            AllowMultipleArgumentsPerToken = true,
            Description = "Footage that chose designs or settings, if any did: the report says so beside its drives, since their figures " +
                "flatter"
        };
        var before = new Option<string?>("--before")
        {
            Description = "For --slices: another package, such as the one without --debias, whose figures stand beside and which says " +
                "what is rare"
        };
        var labels = new Option<string[]>("--labels")
        {
            AllowMultipleArgumentsPerToken = true,
            Description = "For a package of --architecture pix2pix: directories of label maps of --normal, one for all or one for each; " +
                "by default the directory labels beside the frames. Prints mean IoU, and IoU and accuracy a class, and needs no --out"
        };
        var command = new Command("evaluate",
            "Judge a package on normal footage and outliers: report.html, report.json, scores.csv") { model, normal, outlier, corruptions,
            frames, output, camera, level, rate, seed, chose, slices, before, scores, whatIf, leaveOut.IsAsked, leaveOut.Train,
                leaveOut.Baselines, labels };
        command.Validators.Add(result =>
        {
            bool asks = result.GetValue(whatIf) is not null;
            if (asks && result.GetValue(scores) is null) result.AddError("--what-if needs --scores");
            if (asks && !result.GetValue(whatIf)!.StartsWith(Setting, StringComparison.Ordinal))
                result.AddError($"--what-if {result.GetValue(whatIf)}: expected {Setting}1e-4,1e-6");
            if (result.GetValue(before) is not null && result.GetValue(slices) is not { Length: > 0 })
                result.AddError("--before goes with --slices");
            var network = NetworkOf(result.GetValue(model));
            if (result.GetValue(labels) is { Length: > 0 } || network?.Translation is not null)
            {
                if (result.GetValue(model) is null || result.GetValue(normal) is not { Length: > 0 })
                    result.AddError("--labels needs --model and --normal");
                Refuse(result, "does not go with label maps: such a package is judged by them alone", outlier, corruptions, output, camera,
                    level, rate, slices, chose, before, scores, whatIf, leaveOut.IsAsked);
                return;
            }
            if (network is { OnlyDraws: true })
            {
                Refuse(result, "does not go with a package that only draws: nothing of it is calibrated", camera, level, rate, slices,
                    chose, before, scores, whatIf, leaveOut.IsAsked);
                if (result.GetValue(outlier) is not { Length: > 0 } && !result.GetValue(corruptions))
                    result.AddError("--outlier or --corruptions is needed: a package that only draws is judged by what its discriminator " +
                        "tells from normal frames");
            }
            if (!asks && (result.GetValue(normal) is not { Length: > 0 } || result.GetValue(output) is null))
                result.AddError("--normal and --out are needed (or --what-if with --scores)");
            leaveOut.Check(result, result.GetValue(model));
        });
        outlier.Validators.Add(result =>
        {
            foreach (var token in result.Tokens.Where(token => token.Value.IndexOf('=', StringComparison.Ordinal) <= 0))
                result.AddError($"--outlier {token.Value}: expected NAME=FOOTAGE");
        });
        command.SetAction((options, cancellation) => CommandRunner.RunAsync(() =>
        {
            if (options.GetValue(whatIf) is { } settings)
                return Task.FromResult(Try(options.GetRequiredValue(model), options.GetRequiredValue(scores)!, settings[Setting.Length..],
                    options.GetValue(rate) ?? ScoredSet.DefaultRate, cancellation));
            if (options.GetValue(labels) is { Length: > 0 } || NetworkOf(options.GetValue(model))?.Translation is not null)
                return MapJudge.RunAsync(options.GetRequiredValue(model), options.GetRequiredValue(normal)!,
                    options.GetValue(labels) ?? [], cancellation);
            var sets = (options.GetValue(outlier) ?? []).Select(pair => pair.Split('=', 2)).Select(pair =>
                (Name: pair[0], Input: pair[1])).ToArray();
            if (sets.Select(set => set.Name).Distinct().Count() < sets.Length || sets.Any(set => set.Name == "normal"))
                throw new CommandException("--outlier: every set needs a name of its own, and 'normal' is taken");
            if (options.GetValue(level) is not (> 0 and < 1)) throw new CommandException("--level must be between 0 and 1");
            if (options.GetValue(rate) <= 0 || options.GetValue(frames) < 1)
                throw new CommandException("--fps and --corruption-frames must be positive");
            string line = "outlier " + string.Join(' ', options.Tokens.Select(token => token.Value));
            if (options.GetValue(leaveOut.IsAsked))
                return leaveOut.RunAsync(options, options.GetRequiredValue(normal)!, options.GetValue(outlier) ?? [],
                    options.GetValue(frames), options.GetValue(seed), options.GetRequiredValue(output), line);
            var request = new EvaluationRequest(options.GetRequiredValue(model), options.GetRequiredValue(normal)!, sets,
                options.GetRequiredValue(camera), options.GetValue(level), options.GetValue(rate), options.GetValue(corruptions)
                ? options.GetValue(frames) : 0, options.GetValue(seed), line)
            {
                Chose = options.GetValue(chose) ?? [],
                Slices = options.GetValue(slices) ?? [],
                Before = options.GetValue(before),
            };
            return DrawnJudge.Takes(request.Model)
                ? DrawnJudge.RunAsync(request, options.GetRequiredValue(output).FullName, cancellation)
                : EvaluateAsync(request, options.GetRequiredValue(output), cancellation);
        }));
        return command;
    }

    /// <summary>What a package's network is; null where the package cannot be read, which is said when it is loaded.</summary>
    private static NetworkCard? NetworkOf(string? model)
    {
        try
        {
            return model is null ? null : ModelPackage.ReadCard(model).Network;
        }
        catch (ModelPackageException)
        {
            return null;
        }
    }

    /// <summary>Refuses options that would do nothing.</summary>
    private static void Refuse(CommandResult result, string why, params Option[] options)
    {
        foreach (var option in options.Where(option => result.GetResult(option) is { Implicit: false }))
            result.AddError($"{option.Name} {why}");
    }

    private static int Try(string model, string source, string values, double rate, CancellationToken cancellation)
    {
        var package = ModelPackage.Load(model);
        var stored = StoredScore.Read(source, package.Card, rate, cancellation).ToArray();
        if (stored.Length == 0) throw new CommandException($"{source}: no scores of {package.Card.Name} in it");
        if (stored.FirstOrDefault(score => score.ModelDigest is { } digest && digest != package.Digest) is { } other)
            throw new CommandException(
                $"{source}: has scores of another model ({other.ModelDigest}; {package.Card.Name} is {package.Digest})");
        var table = new Table().AddColumns("FalseAlarmProbability", "incidents", "a camera-day", "bound of false ones a camera-day",
            "cameras with an incident", "median delay of those (frames)");
        foreach (string value in values.Split(','))
        {
            if (!double.TryParse(value, CultureInfo.InvariantCulture, out double probability))
                throw new CommandException($"--what-if: {value} is not a number");
            var options = new DetectionOptions { FalseAlarmProbability = probability };
            if (options.Validate().FirstOrDefault() is { } fault) throw new CommandException(fault);
            var result = WhatIf.Run(stored, package, options);
            int?[] found = [.. result.Delays.Values.Where(delay => delay is not null)];
            table.AddRow(value, Text($"{result.Incidents}"), result.CameraDays > 0
                ? Text($"{result.Incidents / result.CameraDays:0.0}")
                : "-", Text($"{options.FalseIncidentsPerCameraDay:0.##}"), Text($"{found.Length} of {result.Cameras}"), found.Length > 0
                ? Delay(Evaluator.MedianDelay(found)) : "-");
        }
        AnsiConsole.Write(table);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{stored.Length} scores of {package.Card.Name}"));
        return 0;
    }

    private static async Task<int> EvaluateAsync(EvaluationRequest request, DirectoryInfo output, CancellationToken cancellation)
    {
        OutputPath.CheckDirectory(output.FullName);
        using var evaluator = new Evaluator(request);
        var report = await AnsiConsole.Progress().HideCompleted(true).AutoClear(true).StartAsync(context =>
        {
            ProgressTask? task = null;
            return evaluator.RunAsync((what, share) =>
            {
                if (task?.Description != what)
                {
                    if (task is not null) task.Value = task.MaxValue;
                    task = context.AddTask(what, maxValue: 1);
                }
                task.Value = share;
            }, cancellation);
        });
        output.Create();
        evaluator.Table().Write(Path.Combine(output.FullName, "scores.csv"));
        await File.WriteAllTextAsync(Path.Combine(output.FullName, "report.json"), JsonSerializer.Serialize(report, EvaluationReport.Json),
            cancellation);
        await File.WriteAllTextAsync(Path.Combine(output.FullName, "report.html"), new HtmlReport(evaluator, report).Write(), cancellation);
        if (report.Slices is { } parts)
            await File.WriteAllTextAsync(Path.Combine(output.FullName, "slices.svg"), ReportCharts.Slices(parts, report.Normal.Level),
                cancellation);
        Show(report);
        Console.WriteLine($"{Path.Combine(output.FullName, "report.html")} is written");
        return 0;
    }

    private static void Show(SecondFigures second, double level)
    {
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"with the second graph on every frame {second.FalseAlarmRate:P2} " +
            $"of the normal ones have a p-value of at most {level}, without it {second.FalseAlarmRateWithout:P2}"));
        foreach (var (name, set) in second.Outliers)
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{name}: AUROC {set.Both:0.000} with it, {set.Without:0.000} " +
                $"without; {string.Join(", ", set.Scores.Select(score => Text($"{score.Key} {score.Value:0.000}")))}"));
    }

    private static void Show(EvaluationReport report)
    {
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{report.Normal.Frames} normal frames: " +
            $"{report.Normal.FalseAlarmRate:P2} have a p-value of at most {report.Normal.Level} (95 % interval " +
            $"{report.Normal.FalseAlarmRateCi[0]:P2} to {report.Normal.FalseAlarmRateCi[1]:P2}; the calibration supports " +
                    $"{report.Normal.SupportedRate:P2} and no less); {report.Normal.Incidents} false incidents{ByTest(report.Normal)}"));
        if (report.Normal.OnsetRates is { } onsets)
            Console.WriteLine("by their onset: " + string.Join(", ", onsets.Select(rate => Text($"{rate.Value:P2} at most {rate.Key}"))));
        foreach (var acquaintance in report.Drives.GroupBy(drive => (drive.Set, drive.Acquaintance)))
            Console.WriteLine(Text($"{acquaintance.Key.Set}: {acquaintance.Count()} drives: {Meaning(acquaintance.Key.Acquaintance)}"));
        if (report.Outliers.Count > 0)
        {
            var table = new Table().AddColumns("outliers", "frames", "AUROC", "95 % interval", "AUPR", "FPR at 95 % TPR", "delay (frames)");
            foreach (var (name, figures) in report.Outliers)
                table.AddRow(Markup.Escape(name), Text($"{figures.Frames}"), Text($"{figures.Auroc:0.000}"),
                    Text($"{figures.AurocCi[0]:0.000} to {figures.AurocCi[1]:0.000}"), Text($"{figures.Aupr:0.000}"),
                    Text($"{figures.Fpr95:0.000}"), Delay(figures.DetectionDelayFrames));
            AnsiConsole.Write(table);
            foreach (var (name, figures) in report.Outliers.Where(set => set.Value.Causes is not null))
                Console.WriteLine($"{name}: looks like {Named(figures.Causes!)}" +
                    (figures.IncidentCauses is { } incidents ? $"; its incidents: {Named(incidents)}" : ""));
        }
        if (report.Second is { } second) Show(second, report.Normal.Level);
        if (report.Slices is { } slices) Show(slices);
        if (report.Corruptions is not { } corruptions) return;
        var kinds = new Table().AddColumns("corruption, AUROC at severity", "1", "2", "3", "4", "5", "streams at 3: delay (frames)",
            "within 15", "of", "by onset");
        foreach (var (name, kind) in corruptions.Kinds)
            kinds.AddRow([name, .. Enumerable.Range(1, 5).Select(severity => kind.Auroc.TryGetValue(Text($"{severity}"), out double area)
                ? Text($"{area:0.000}") : "-"), Delay(kind.DetectionDelayFrames), Text($"{kind.FoundWithin15}"), Text($"{kind.Sequences}"),
                Text($"{kind.FoundByOnset}")]);
        kinds.AddRow(["[bold]mean[/]", .. corruptions.MeanAuroc.Values.Select(area => Text($"{area:0.000}")), "",
            Text($"{corruptions.Kinds.Values.Sum(kind => kind.FoundWithin15)}"),
            Text($"{corruptions.Kinds.Values.Sum(kind => kind.Sequences)}"),
            Text($"{corruptions.Kinds.Values.Sum(kind => kind.FoundByOnset)}")]);
        AnsiConsole.Write(kinds);
        if (corruptions.Kinds.Values.All(kind => kind.Causes is null)) return;
        var causes = new Table().AddColumns("corruption", "looks like", "right at severity 2 to 5", "unknown", "wrong",
            "incidents at 3: right", "unknown", "wrong", "of");
        foreach (var (name, kind) in corruptions.Kinds.Where(kind => kind.Value.Causes is not null))
        {
            var rows = kind.Causes!.Where(row => row.Key != "1").Select(row => row.Value).ToArray();
            string[] incidents = kind.StreamCauses is { } streams
                ? [Text($"{streams.Right:0.00}"), Text($"{streams.Unknown:0.00}"), Text($"{streams.Wrong:0.00}"), Text($"{streams.Count}")]
                : ["-", "-", "-", "0"];
            causes.AddRow([name, rows[0].Expected!, string.Join(" ", rows.Select(row => Text($"{row.Right:0.00}"))),
                Text($"{rows.Average(row => row.Unknown):0.00}"), Text($"{rows.Average(row => row.Wrong):0.00}"), .. incidents]);
        }
        AnsiConsole.Write(causes);
    }

    private static void Show(IReadOnlyList<SliceFigures> slices)
    {
        var table = new Table();
        foreach (string column in SliceColumns(slices)) table.AddColumn(Markup.Escape(column));
        foreach (string[] row in SliceRows(slices)) table.AddRow([.. row.Select(Markup.Escape)]);
        AnsiConsole.Write(table);
    }

    internal static string[] SliceColumns(IReadOnlyList<SliceFigures> slices) =>
    [
        "normal frames by", "slice", "frames", "alarms at one rate over all", "95 % interval",
        .. slices.Any(slice => slice.Before is not null) ? (string[])["before", "95 % interval"] : [], "AUROC", "by p-values of its own",
    ];

    internal static IEnumerable<string[]> SliceRows(IReadOnlyList<SliceFigures> slices) => slices.Select(slice => (string[])
    [
        slice.By, slice.Name, Text($"{slice.Frames}"), Text($"{slice.Rate:P1}"), Text($"{slice.RateCi[0]:P1} to {slice.RateCi[1]:P1}"),
        .. slice.Before is { } before
            ? (string[])[Text($"{before.Rate:P1}"), Text($"{before.RateCi[0]:P1} to {before.RateCi[1]:P1}")]
            : [],
        Text($"{slice.Auroc:0.000}"), slice.OwnRate is { } own ? Text($"{own:P1}") : Text($"needs {slice.OwnNeeds} frames"),
    ]);

    private static string Named(CauseFigures causes) => string.Join(", ", causes.Named.OrderByDescending(name => name.Value)
        .Select(name => Text($"{name.Key} {name.Value:0.00}")));

    /// <summary>What a drive's acquaintance means to a figure measured on it.</summary>
    internal static string Meaning(string acquaintance) => acquaintance switch
    {
        "unseen" => "trained and calibrated nothing",
        "chose" => "trained and calibrated nothing, but chose designs or settings: the figures flatter",
        "drive-calibrated" => "other frames of it calibrated the model: the figures flatter",
        "drive-trained" => "other frames of it trained the model: the figures flatter",
        "calibrated" => "some of these frames calibrated the model: the figures say nothing",
        "trained" => "some of these frames trained the model: the figures say nothing",
        _ => "the package does not say what it was made from",
    };

    private static string ByTest(NormalFigures normal) => normal.IncidentsByTest.Count == 0 ? ""
        : $" ({string.Join(", ", normal.IncidentsByTest.Select(test => Text($"{test.Value} by {test.Key}")))})";

    private static string Delay(double? frames) => frames is { } value ? Text($"{value:0.#}") : "not found";

    private static string Text(FormattableString text) => FormattableString.Invariant(text);
}
