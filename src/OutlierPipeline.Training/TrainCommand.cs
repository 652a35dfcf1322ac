using System.CommandLine;
using System.Diagnostics;
using OutlierPipeline.Frames;
using OutlierPipeline.Inference;
using OutlierPipeline.Training.Networks;
using Spectre.Console;
using static TorchSharp.torch;

namespace OutlierPipeline.Training;

/// <summary><c>outlier train</c>: frames in, model package out.</summary>
internal sealed class TrainCommand
{
    private const double CalibrationShare = 0.2;

    private readonly Option<string[]> _frames = new("--frames") { Required = true, AllowMultipleArgumentsPerToken = true, Description = "Directories of normal frames, in name order; sub-directories are separate drives; DIR[A..B] takes a range" };
    private readonly Option<string[]> _calibration = new("--calibration") { AllowMultipleArgumentsPerToken = true, Description = "Directories of normal frames that calibrate; by default the last 20 % of each drive" };
    private readonly Option<DirectoryInfo> _out = new("--out") { Required = true, Description = "The package's directory, such as models/NAME" };
    private readonly Option<string> _architecture = new("--architecture") { DefaultValueFactory = _ => "vae", Description = "The network: vae" };
    private readonly Option<int> _height = new("--height") { DefaultValueFactory = _ => 96, Description = "Input height in pixels, a multiple of 16" };
    private readonly Option<int> _width = new("--width") { DefaultValueFactory = _ => 160, Description = "Input width in pixels, a multiple of 16" };
    private readonly Option<int> _latent = new("--latent") { DefaultValueFactory = _ => 32, Description = "Dimensions of the latent code" };
    private readonly Option<int> _epochs = new("--epochs") { DefaultValueFactory = _ => 0, Description = "Passes over the frames; 0 chooses by their number" };
    private readonly Option<int> _batch = new("--batch") { DefaultValueFactory = _ => 32, Description = "Frames of a training step" };
    private readonly Option<int> _seed = new("--seed") { DefaultValueFactory = _ => 1, Description = "Seed of weights, order and augmentation" };
    private readonly Option<string> _description = new("--description") { DefaultValueFactory = _ => "A model of normal footage.", Description = "For the model card: what the model is for" };
    private readonly Option<string> _source = new("--source") { DefaultValueFactory = _ => "not stated", Description = "For the model card: where the footage comes from" };
    private readonly Option<string> _licence = new("--licence") { DefaultValueFactory = _ => "not stated", Description = "For the model card: the licence of weights and footage" };
    private readonly Option<string> _version = new("--model-version") { DefaultValueFactory = _ => "1.0.0", Description = "For the model card: the package's version" };

    private readonly Option<string> _prepare = new("--prepare") { DefaultValueFactory = _ => "", Description = "For the model card: the command that made the footage, to be run before this one" };

    public RootCommand Build()
    {
        var command = new RootCommand("Trains a generative model on normal footage and writes a model package.")
        {
            _frames, _calibration, _out, _architecture, _height, _width, _latent, _epochs, _batch, _seed, _description, _source, _licence, _version, _prepare,
        };
        _architecture.AcceptOnlyFromAmong("vae");
        command.SetAction((result, cancellation) => Task.FromResult(Run(result, cancellation)));
        return command;
    }

    private int Run(ParseResult options, CancellationToken cancellation)
    {
        try
        {
            Train(options, cancellation);
            return 0;
        }
        catch (Exception e) when (e is FootageException or TrainingException or ModelPackageException or ArgumentException or IOException or UnauthorizedAccessException or System.Runtime.InteropServices.ExternalException)
        {
            Console.Error.WriteLine(e.Message.ReplaceLineEndings(" "));
            return 1;
        }
        catch (OperationCanceledException)
        {
            Console.Error.WriteLine("interrupted; nothing was written");
            return 130;
        }
    }

    private void Train(ParseResult options, CancellationToken cancellation)
    {
        long begun = Stopwatch.GetTimestamp();
        var network = new PatchVae(new FrameSize(options.GetValue(_height), options.GetValue(_width)), options.GetValue(_latent));
        int seed = options.GetValue(_seed);
        var (training, calibration) = Split(options.GetValue(_frames)!, options.GetValue(_calibration) ?? []);
        LibTorch.Prepare(Environment.GetEnvironmentVariable("LIBTORCH_DIR"));
        // The sums' order, and with it the last digits, depends on the number of threads.
        set_num_threads(2);
        AnsiConsole.MarkupLineInterpolated($"{training.Count} frames train, {calibration.Count} calibrate, at {network.Size}.");
        var footage = Footage.Load(training, network.Size);
        var held = Footage.Load(calibration, network.Size);
        int epochs = options.GetValue(_epochs) > 0 ? options.GetValue(_epochs) : Math.Clamp(60_000 / footage.Frames, 5, 150);
        var trainer = new Trainer(network, footage, epochs, options.GetValue(_batch), seed);
        EpochLoss last = default;
        Progress().Start(context =>
        {
            var task = context.AddTask("training", maxValue: epochs);
            trainer.Run(loss =>
            {
                last = loss;
                task.Description = FormattableString.Invariant($"error {loss.MeanSquaredError:0.00000}  KL {loss.Kl:0.0}  {loss.FramesPerSecond:0} frames/s");
                task.Increment(1);
                if (!AnsiConsole.Profile.Capabilities.Interactive && (loss.Epoch % Math.Max(1, epochs / 10) == 0 || loss.Epoch == epochs))
                    Console.WriteLine(FormattableString.Invariant($"epoch {loss.Epoch}/{epochs}  error {loss.MeanSquaredError:0.00000}  KL {loss.Kl:0.0}  {loss.FramesPerSecond:0} frames/s"));
            }, cancellation);
        });
        var exporter = new ModelExporter(network, trainer.Weights);
        exporter.FitScores(footage);
        var package = new PackageWriter(options.GetValue(_out)!.FullName, network, exporter);
        package.Write(new PackageWriter.Description(
            options.GetValue(_version)!,
            options.GetValue(_description)!,
            options.GetValue(_licence)!,
            options.GetValue(_source)!,
            Command(options),
            seed,
            epochs,
            options.GetValue(_batch)), footage, held, last, Stopwatch.GetElapsedTime(begun));
        AnsiConsole.MarkupLineInterpolated($"{options.GetValue(_out)!.FullName} is written ({Stopwatch.GetElapsedTime(begun).TotalSeconds:0} s).");
    }

    /// <summary>This command line as it stands in the card, after the one that made the footage.</summary>
    private string Command(ParseResult options)
    {
        string prepare = options.GetValue(_prepare)!;
        var tokens = options.Tokens.Select(token => token.Value).ToList();
        int at = tokens.IndexOf("--prepare");
        if (at >= 0) tokens.RemoveRange(at, 2);
        string train = "dotnet run -c Release --project src/OutlierPipeline.Cli -- train " + string.Join(' ', tokens.Select(Quoted));
        return prepare.Length > 0 ? $"{prepare} && {train}" : train;
    }

    private static (List<string> Training, List<string> Calibration) Split(string[] frames, string[] calibration)
    {
        var drives = frames.SelectMany(FrameDirectory.Read).ToArray();
        if (calibration.Length > 0)
        {
            List<string> held = [.. calibration.SelectMany(FrameDirectory.Read).SelectMany(drive => drive.Files)];
            List<string> training = [.. drives.SelectMany(drive => drive.Files)];
            if (training.Intersect(held).FirstOrDefault() is { } twice) throw new FootageException($"{twice} is in --frames and in --calibration: what trains must not calibrate");
            return Checked(training, held);
        }
        // Blocks of time: neighbouring frames are nearly the same, so a frame-by-frame split would calibrate on what was trained on.
        return Checked(
            [.. drives.SelectMany(drive => drive.Files.Take(drive.Files.Count - (int)(drive.Files.Count * CalibrationShare)))],
            [.. drives.SelectMany(drive => drive.Files.Skip(drive.Files.Count - (int)(drive.Files.Count * CalibrationShare)))]);
    }

    private static (List<string>, List<string>) Checked(List<string> training, List<string> calibration)
    {
        if (training.Count < 50) throw new FootageException($"{training.Count} frames are too few to train on: at least 50 are needed");
        if (calibration.Count < 20) throw new FootageException($"{calibration.Count} frames are too few to calibrate with: at least 20 are needed");
        return (training, calibration);
    }

    private static string Quoted(string token) => token.Any(character => " [];()'\"$&|<>*?~".Contains(character, StringComparison.Ordinal)) ? "'" + token.Replace("'", "'\\''", StringComparison.Ordinal) + "'" : token;

    private static Progress Progress() => AnsiConsole.Progress().AutoClear(false).Columns(new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn(), new RemainingTimeColumn());
}
