using System.CommandLine;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using OutlierPipeline.Detection;
using OutlierPipeline.Evaluation;
using OutlierPipeline.Footage;
using OutlierPipeline.Inference;
using OutlierPipeline.Models;

namespace OutlierPipeline.Cli;

/// <summary><c>outlier calibrate</c>: other normal footage for a package as it is; nothing is trained.</summary>
internal static class CalibrateCommand
{
    private const double Level = 0.05;

    private const string TooLittle =
        "This footage shows too little: repeated frames and a parked car count once, neighbouring frames share a count. "
        + "Guaranteed evidence will open no incident; calibrate with more, and more varied, footage.";

    private sealed record Request(string Model, string[] Frames, string? Camera, string? Slice, string? Mask, double? Rate, string Out,
        string Source, string Command, MissedOutliers? Missed)
    {
        /// <summary>A package of pairs whose second graph this one gets; null for none.</summary>
        public string? Second { get; init; }

        /// <summary>Its scores that join the combined one; none for what is usual.</summary>
        public string[] Combines { get; init; } = [];

        /// <summary>What is calibrated, as it is before.</summary>
        public CameraModel Before(ModelPackage package) =>
            Slice is not null ? package.ForSlice(Slice) ?? package.Default : Camera is null ? package.Default : package.For(Camera);

        /// <summary>For people.</summary>
        public string Whom => Slice is not null ? $"the slice {Slice}" : Camera is null ? "the package" : $"camera {Camera}";
    }

    public static Command Build()
    {
        var model = new Option<string>("--model") { Required = true, Description = "Directory of a model package" };
        var incident = new Option<string?>("--add-normal")
        {
            Description = "An incident that turned out to be normal: its recorded scores join its camera's calibration"
        };
        var scores = new Option<string?>("--scores")
        {
            Description = $"Recorded scores: {StoredScore.Kinds}. For --add-normal and --missed; alone it calibrates the level on the " +
                "normal drives in them, without frames"
        };
        var missed = new Option<string[]>("--missed")
        {
            AllowMultipleArgumentsPerToken = true,
            Description = "Frames that should have alarmed: they move the weights of the combined scores. Footage as for --frames, or " +
                "CAMERA@FROM..TO with --scores, as in car-1/front@2026-05-01T08:00:00Z..2026-05-01T08:00:30Z"
        };
        var over = new Option<string[]>("--over")
        {
            AllowMultipleArgumentsPerToken = true,
            Description = "For --missed: normal footage to draw every kind of corruption over, to show what happens to each; by default " +
                "that of --frames"
        };
        var level = new Option<double?>("--p-value")
        {
            Description = "For --missed: the p-value that missed frames should not exceed, and normal ones no more often than it says; " +
                "by default 0.05"
        };
        var report = new Option<DirectoryInfo?>("--report")
        {
            Description = "For --add-normal: the directory of the last evaluation, to show what happens to its detections"
        };
        var frames = new Option<string[]>("--frames")
        {
            AllowMultipleArgumentsPerToken = true,
            Description = $"Normal footage that trained nothing: {FootageSource.Kinds}"
        };
        var camera = new Option<string?>("--camera")
        {
            Description = "Give this camera a calibration of its own; every other camera's stays as it is"
        };
        var slice = new Option<string?>("--slice")
        {
            Description = "Give cameras with this tag, such as time=night, a calibration of their own: p-values within the slice. " +
                "Model:Tags:PATTERN says which cameras have it"
        };
        var mask = new Option<FileInfo?>("--mask")
        {
            Description = "Region of interest: a picture of the frames' shape, white where " +
                "pixels count, black for the car's own bonnet or a burned-in clock"
        };
        var second = new Option<string?>("--second")
        {
            Description = "A package of --architecture pix2pix: its graph of what should have been there becomes this package's second " +
                "one, for the frames that Inference:Second chooses. Needs --frames"
        };
        var combine = new Option<string[]>("--combine")
        {
            AllowMultipleArgumentsPerToken = true,
            Description = $"For a second graph: its scores that join the combined one; by default {SecondGraph.Resynthesis} and " +
                $"{SecondGraph.Classes}, or what the package combines already"
        };
        var rate = new Option<double?>("--fps")
        {
            Description = "Frames a second of the footage, for the onset test; by default a video's own times, else 10"
        };
        var output = new Option<string?>("--out") { Description = "Write another package instead of changing this one" };
        var source = new Option<string>("--source")
        {
            DefaultValueFactory = _ => "not stated",
            Description = "For the model card: where the footage comes from"
        };
        var command = new Command("calibrate",
            "Fit the calibration of a package to other normal footage: another camera, another season") { model, frames, camera, slice,
            mask, rate, output, source, incident, scores, report, missed, over, level, second, combine };
        command.Validators.Add(result =>
        {
            bool adds = result.GetValue(incident) is not null;
            if (adds && result.GetValue(scores) is null) result.AddError("--add-normal needs --scores");
            bool fits = result.GetValue(frames) is { Length: > 0 };
            string[] taught = result.GetValue(missed) ?? [];
            if (adds && fits) result.AddError("--frames and --add-normal exclude each other");
            if (!adds && !fits && taught.Length == 0 && result.GetValue(scores) is null)
                result.AddError("--frames, --scores, --add-normal or --missed is needed");
            if (!fits && result.GetValue(mask) is not null)
                result.AddError("--mask needs --frames: with another mask all scores are others");
            if (taught.Any(MissedOutliers.IsRange) && result.GetValue(scores) is null)
                result.AddError("--missed CAMERA@FROM..TO needs --scores");
            if (result.GetValue(slice) is not null && result.GetValue(camera) is not null)
                result.AddError("--slice and --camera exclude each other");
            if (result.GetValue(slice) is not null && !fits) result.AddError("--slice needs --frames");
            if (result.GetValue(second) is not null && (!fits || result.GetValue(camera) is not null || result.GetValue(slice) is not null))
                result.AddError("--second needs --frames, and gives every camera its graph: without --camera and --slice");
            if (taught.Length > 0 && result.GetValue(second) is not null) result.AddError("--second and --missed exclude each other");
            if (!fits && result.GetValue(combine) is { Length: > 0 }) result.AddError("--combine needs --frames");
            if (taught.Length == 0 && result.GetValue(over) is { Length: > 0 }) result.AddError("--over is for --missed");
        });
        rate.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<double?>() <= 0) result.AddError("--fps must be positive");
        });
        level.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<double?>() is <= 0 or >= 0.5) result.AddError("--p-value must be more than 0 and less than 0.5");
        });
        slice.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<string?>() is { } tag && (string.IsNullOrWhiteSpace(tag) || tag.Any(char.IsControl)))
                result.AddError("--slice: expected a tag such as time=night");
        });
        camera.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<string?>() is { } id && Encoding.UTF8.GetByteCount(id) is 0 or > 128)
                result.AddError("--camera: expected 1 to 128 bytes of UTF-8");
        });
        command.SetAction((options, cancellation) => CommandRunner.RunAsync(() =>
        {
            string path = options.GetRequiredValue(model);
            string line = "outlier " + ShellText.Join(options.Tokens.Select(token => token.Value));
            var teaches = options.GetValue(missed) is { Length: > 0 } inputs
                ? new MissedOutliers(inputs, options.GetValue(scores), options.GetValue(over) ?? [],
                    options.GetValue(level) ?? Level)
                : null;
            if (options.GetValue(incident) is { } id)
                return AddNormal.RunAsync(path, options.GetValue(output) ?? path, id, options.GetRequiredValue(scores)!,
                    options.GetValue(report)?.FullName, options.GetValue(camera), teaches, cancellation);
            var request = new Request(path, options.GetValue(frames) ?? [], options.GetValue(camera), options.GetValue(slice),
                options.GetValue(mask)?.FullName, options.GetValue(rate), options.GetValue(output) ?? path,
                options.GetRequiredValue(source), line, teaches)
            {
                Second = options.GetValue(second),
                Combines = options.GetValue(combine) ?? [],
            };
            if (request.Frames.Length > 0) return CalibrateAsync(request, cancellation);
            return teaches is null
                ? Task.FromResult(CalibrateRecorded(request, options.GetRequiredValue(scores)!, cancellation))
                : TeachAsync(request, cancellation);
        }));
        return command;
    }

    private static async Task<int> CalibrateAsync(Request request, CancellationToken cancellation)
    {
        var package = ModelPackage.Load(request.Model);
        OutputPath.CheckDirectory(request.Out);
        var before = request.Before(package);
        var attachment = SecondAttachment.Of(package, request.Second, request.Combines);
        using var footage = await ToolFootage.LoadAsync("normal footage", request.Frames, package.Card.Network.Size, request.Camera,
            cancellation);
        if (footage.Digest == package.Card.Training.Footage.Digest)
            throw new CommandException("this is the footage that the model was trained on: what trains must not calibrate");
        attachment?.CheckUnseen(footage);
        var mask = request.Mask is null ? before.Mask : FrameMask.Load(request.Mask, package.Card.Network.Size);
        // The engine of a package without masks does not ask for them.
        using var engine = new InferenceEngine(ModelPackage.Uncalibrated(package.Card, package.Graph.ToArray(), mask),
            new InferenceOptions(), NullLogger.Instance);
        using var scorer = new FootageScorer(engine);
        var (rows, codes, isNew) = scorer.ScoreAndEncode(footage, mask, cancellation);
        if (rows.Length < Calibration.MinFrames)
            throw new CommandException($"{rows.Length} frames are too few to calibrate with: at least {Calibration.MinFrames} are needed");
        var calibration = Refit(before.Calibration, rows, [.. footage.Drives.Select(drive => drive.Count)], isNew, codes,
            FootageScorer.RateOf(footage, request.Rate));
        double strange = rows.Count(row => before.Calibration.PValue(before.Calibration.Combine(row)) <= Level) / (double)rows.Length;
        string described = request.Source;
        if (request.Missed is not null)
        {
            var lesson = await request.Missed.TeachAsync(package, request.Camera, calibration, mask, footage, cancellation);
            (calibration, described) = (lesson.Calibration, Described(described, lesson));
        }
        // Where missed frames have moved the weights, half of the rows calibrate: both graphs together are then not known.
        if (attachment is not null && request.Missed is null)
        {
            var size = attachment.Card.SizeBeside(package.Card.Network);
            using var larger = size == footage.Size ? null
                : await ToolFootage.LoadAsync("it for the second graph", request.Frames, size, request.Camera, cancellation);
            if (larger is not null && larger.Digest != footage.Digest)
                throw new CommandException("the footage changed while it was read: try again when nothing is written there");
            calibration = attachment.Calibrate(calibration, larger ?? footage, rows, isNew, cancellation);
        }
        Write(package, request, new FootageCard { Source = described, Frames = footage.Count, Digest = footage.Digest },
            KnownFootage.SetOf(footage), calibration, mask, attachment);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{calibration.Frames} frames calibrate {request.Whom}: they count as {calibration.EffectiveFrames:0} that are independent, ")
            + string.Create(CultureInfo.InvariantCulture, $"so p-values reach down to {calibration.SmallestPValue:0.0000}. ")
            + string.Create(CultureInfo.InvariantCulture,
            $"By the calibration before, {strange:P1} of them had a p-value of at most {Level}; {Path.GetFullPath(request.Out)}"));
        if (calibration.Second is { } both)
            Console.WriteLine($"Frames that the second graph scores too are ranked by {string.Join(" and ", both.Combines)} beside.");
        if (new DetectionOptions().ShortestDelay(calibration) < TimeSpan.Zero) await Console.Error.WriteLineAsync(TooLittle);
        return 0;
    }

    /// <summary>The deployment's own normal drives, of which the scores are all that is left.</summary>
    private static int CalibrateRecorded(Request request, string source, CancellationToken cancellation)
    {
        var package = ModelPackage.Load(request.Model);
        OutputPath.CheckDirectory(request.Out);
        var (calibration, digest) = CalibrateOnScores.Fit(package, request.Camera, source, cancellation);
        var described = new FootageCard
        {
            Source = $"{request.Source}; scores of {calibration.DeploymentDrives} normal drives",
            Frames = calibration.Frames,
            Digest = digest,
        };
        var mask = request.Before(package).Mask;
        Write(package, request, described, null, calibration, mask);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{calibration.DeploymentDrives} drives, {calibration.Frames} frames calibrate ")
            + $"{request.Whom}; {Path.GetFullPath(request.Out)}");
        return 0;
    }

    /// <summary>The calibration as it is, but for its weights.</summary>
    private static async Task<int> TeachAsync(Request request, CancellationToken cancellation)
    {
        var package = ModelPackage.Load(request.Model);
        OutputPath.CheckDirectory(request.Out);
        var before = request.Before(package);
        var lesson = await request.Missed!.TeachAsync(package, request.Camera, before.Calibration, before.Mask, null, cancellation);
        if (!lesson.Moved) return 0;
        var own = request.Camera is null ? null : package.Card.Cameras?.GetValueOrDefault(request.Camera);
        var footage = own?.Footage ?? package.Card.Calibration;
        Write(package, request, footage with { Source = Described(footage.Source, lesson) }, null, lesson.Calibration, before.Mask);
        Console.WriteLine(Path.GetFullPath(request.Out));
        return 0;
    }

    /// <summary>The footage's source, and what moved the weights.</summary>
    internal static string Described(string source, Lesson lesson) =>
        lesson.Moved ? $"{source}; weights moved by {lesson.Missed} missed frames" : source;

    private static Calibration Refit(Calibration before, float[][] rows, int[] drives, bool[] isNew, float[][] codes, double rate)
    {
        try
        {
            var after = before.Refit(rows, drives, isNew);
            return after with
            {
                LatentMap = LatentMap.Fit(codes),
                Code = CodeCalibration.Fit(after.Scores, codes),
                // Too short to show changes: those that the package knows already hold on.
                Onset = OnsetFit.Fit(after, before.Onset?.Scores, rows, drives, rate, OnsetCalibration.OfCalibration) ?? before.Onset,
            };
        }
        catch (ArgumentException e)
        {
            throw new CommandException($"this footage cannot calibrate: {e.Message}");
        }
    }

    /// <param name="set">The frames that calibrate, or null where they are as they were.</param>
    private static void Write(ModelPackage package, Request request, FootageCard described, KnownFootage.FrameSet? set,
        Calibration calibration, FrameMask? mask, SecondAttachment? second = null)
    {
        var files = ModelPackageWriter.ReadAll(package);
        var card = package.Card;
        if (second is not null)
        {
            files[SecondGraph.FileName] = second.Graph.ToArray();
            card = card with { Second = second.Card };
        }
        if (KnownFootage.Of(package) is { } known)
        {
            if (second is not null) known = second.AddTo(known);
            if (set is not null && request.Slice is null && request.Camera is null) known = known with { Calibration = set };
            files[KnownFootage.FileName] = known.ToJson();
        }
        if ((request.Slice ?? request.Camera) is not { } key)
        {
            files["calibration.json"] = calibration.ToJson();
            if (mask is not null) files["mask.png"] = mask.ToPng();
            // What was measured with another calibration is not true of this one.
            var quality = card.Quality.Where(figure => !figure.Key.StartsWith("test", StringComparison.Ordinal)).ToDictionary();
            quality["smallestPValue"] = Math.Round(calibration.SmallestPValue, 6);
            card = card with
            {
                Calibration = described,
                CalibrationCommand = request.Command,
                Mask = mask is null
                ? null
                : "mask.png",
                Quality = quality
            };
        }
        else
        {
            string name = FileName(request.Slice is null ? "cameras" : "slices", key);
            files[name + ".json"] = calibration.ToJson();
            if (request.Mask is not null) files[name + ".mask.png"] = mask!.ToPng();
            string? maskFile = files.ContainsKey(name + ".mask.png") ? name + ".mask.png" : null;
            var own = new CameraCard { Calibration = name + ".json", Mask = maskFile, Footage = described };
            card = request.Slice is null ? card.With(key, own) : card.WithSlice(key, own);
        }
        ModelPackageWriter.Write(request.Out, card, files);
    }

    /// <summary>An id of a camera, or a tag, may hold what a file name may not.</summary>
    internal static string FileName(string directory, string camera)
    {
        string readable = string.Concat(camera.Take(40).Select(character => char.IsAsciiLetterOrDigit(character) || character is '-'
            or '_' ? character : '_'));
        return $"{directory}/{readable}-{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(camera)))[..8]}";
    }
}
