using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Parsing;
using System.Globalization;
using OutlierPipeline.Footage;
using OutlierPipeline.Frames;
using OutlierPipeline.Models;
using OutlierPipeline.Training.Networks;
using OutlierPipeline.Training.Paired;

namespace OutlierPipeline.Training;

/// <summary><c>outlier train</c>: the options, and what goes wrong as one line.</summary>
internal sealed class TrainCommand
{
    private readonly Option<string[]> _frames = new("--frames")
    {
        Required = true,
        AllowMultipleArgumentsPerToken = true,
        Description = $"Normal footage: {FootageSource.Kinds}"
    };
    private readonly Option<string[]> _calibration = new("--calibration")
    {
        AllowMultipleArgumentsPerToken = true,
        Description = "Normal footage that calibrates; without it a block of --frames does"
    };
    private readonly Option<string> _split = new("--split")
    {
        Description = "Shares in percent of each drive that train, calibrate and test, in this order of time; 70,15,15, " +
            "or 100,0,0 with --calibration, for gan and for pix2pix"
    };
    private readonly Option<FileInfo?> _mask = new("--mask")
    {
        Description = "Region of interest: a picture of the frames' shape, white " +
            "where pixels count, black for the car's own bonnet or a burned-in clock"
    };
    private readonly Option<DirectoryInfo> _out = new("--out")
    {
        Required = true,
        Description = "The package's directory, such as models/NAME; checkpoints go beside it"
    };
    private readonly Option<string> _architecture = new("--architecture")
    {
        DefaultValueFactory = _ => Architecture.Default,
        Description = "What is trained"
    };
    private readonly Option<int> _height =
        new("--height") { Description = "Input height in pixels, a multiple of 16; chosen by the frames' shape by default" };
    private readonly Option<int> _width = new("--width")
    {
        Description = "Input width in pixels, a multiple of 16; alone for the feature architectures, 80 to 320 (160), and for pix2pix, " +
            "64 to 1280 (480), a multiple of 8"
    };
    private readonly Option<FileInfo?> _backbone = new("--backbone")
    {
        Description = "For the feature architectures: an ONNX file of " +
            "your own instead of ResNet18, with one input of RGB planes normalised as for ImageNet"
    };
    private readonly Option<double?> _framesPerSecond = new("--fps")
    {
        Description = "Frames a second of the footage, for the onset test; by default a video's own times, else 10"
    };
    private readonly Option<string[]> _outputs = new("--backbone-outputs")
    {
        AllowMultipleArgumentsPerToken = true,
        Description = "The values of --backbone to read: planes that are not negative, such as the ends of its stages"
    };
    private readonly Option<string> _backboneLicence = new("--backbone-licence")
    {
        DefaultValueFactory = _ => "not stated",
        Description = "For the model card: the licence of --backbone"
    };
    private readonly Option<int> _stages = new("--stages")
    {
        DefaultValueFactory = _ => 2,
        Description = "For the feature architectures: how many of ResNet18's stages are read, 1 to 3"
    };
    private readonly Option<int> _latent = new("--latent") { DefaultValueFactory = _ => 32, Description = "Dimensions of the latent code" };
    private readonly Option<int> _epochs = new("--epochs")
    {
        Description = "At most so many passes over the frames; by default as many as their number asks for, and for gan, vae-gan and " +
            "pix2pix as many as take one core 25 minutes at the default size (ten times as many on a GPU)"
    };
    private readonly Option<int> _patience = new("--patience")
    {
        Description = "End after so many epochs without a better validation loss; a quarter of the epochs by default, at least 10"
    };
    private readonly Option<int> _batch =
        new("--batch") { Description = "Frames of a step; 16 or 32 by default, 256 on a GPU; cells for the feature architectures, 512" };
    private readonly Option<double?> _rate = new("--learning-rate")
    {
        Description = "Of Adam, at the start; falls to a fiftieth along a cosine. 0.001, 0.002 for the feature architectures; " +
            "0.0005 for gan and vae-gan, where it stays"
    };
    private readonly Option<double?> _beta = new("--beta")
    {
        Description = "Weight of the KL divergence; 1 for vae, 4 for " +
            "beta-vae (1000 with --capacity); of the total correlation for beta-tcvae, 150"
    };
    private readonly Option<double> _capacity = new("--capacity")
    {
        Description = "For beta-vae: nats a frame that the code is led to carry, growing from none over the first half of the run"
    };
    private readonly Option<double> _freeBits = new("--free-bits")
    {
        DefaultValueFactory = _ => 0.05,
        Description = "Nats of each dimension of the code that cost nothing"
    };
    private readonly Option<int> _seed = new("--seed")
    {
        DefaultValueFactory = _ => 1,
        Description = "Seed of weights, order, augmentation and codes"
    };
    private readonly Option<string> _device = new("--device") { DefaultValueFactory = _ => "auto", Description = "What computes" };
    private readonly Option<string> _precision = new("--precision")
    {
        DefaultValueFactory = _ => "auto",
        Description = "Of the network's arithmetic; weights and losses are always float32. auto is bfloat16 on a GPU"
    };
    private readonly Option<int> _threads =
        new("--threads") { Description = "Threads on CPU, one a core by default; the last digits of a result depend on it" };
    private readonly Option<DirectoryInfo?> _libtorch = new("--libtorch")
    {
        Description = "Load libtorch from this folder, such as torch/lib of a pip-installed PyTorch with CUDA (or LIBTORCH_DIR)"
    };
    private readonly Option<bool> _debias = new("--debias")
    {
        Description = "For the feature architectures: train a second time, on frames drawn inversely to the density of their codes, so " +
            "that what is rare in the footage (a tunnel, dusk) counts more; twice as long"
    };
    private readonly Option<double?> _debiasShare = new("--debias-share")
    {
        Description = "With --debias: as how many of the frames, as a share, the drawn ones count; less draws what is rare more often. " +
            "Default: 0.5"
    };
    private readonly PairedOptions _pairs = new();
    private readonly Option<bool> _resume =
        new("--resume") { Description = "Go on from the checkpoint of an interrupted run with the same options" };
    private readonly Option<bool> _finish =
        new("--finish") { Description = "With --resume: train no further, and write the package of the best epoch so far" };
    private readonly Option<string> _description = new("--description")
    {
        DefaultValueFactory = _ => "A model of normal footage.",
        Description = "For the model card: what the model is for"
    };
    private readonly Option<string> _source = new("--source")
    {
        DefaultValueFactory = _ => "not stated",
        Description = "For the model card: where the footage comes from"
    };
    private readonly Option<string> _licence = new("--licence")
    {
        DefaultValueFactory = _ => "not stated",
        Description = "For the model card: the licence of weights and footage"
    };
    private readonly Option<string> _version = new("--model-version")
    {
        DefaultValueFactory = _ => "1.0.0",
        Description = "For the model card: the package's version"
    };
    private readonly Option<string> _prepare = new("--prepare")
    {
        DefaultValueFactory = _ => "",
        Description = "For the model card: the command that made the footage, to be run before this one"
    };

    /// <summary>Pixels across of what the feature architectures see.</summary>
    private const int DefaultWidth = 160;

    /// <summary>The name, before the options, under which <see cref="Build"/> has the command.</summary>
    public const string Name = "train";

    /// <summary>The command below <c>outlier</c>, as which users start it: a root command would be called by its file's name.</summary>
    public Command Build()
    {
        var command = new Command(Name, "Trains a generative model on normal footage and writes a calibrated model package.")
        {
            new HelpOption(), new VersionOption(),
            _frames, _calibration, _split, _framesPerSecond, _mask, _out, _architecture, _backbone, _outputs, _backboneLicence, _stages,
                _height, _width,
                _latent, _epochs, _patience, _batch, _rate, _beta, _capacity, _freeBits, _seed,
            _device, _precision, _threads, _libtorch, _debias, _debiasShare, _pairs.Labels, _pairs.Classes, _pairs.Direction,
                _pairs.AdversarialWeight, _pairs.Probe, _pairs.PictureWidth, _resume, _finish,
                _description, _source, _licence, _version, _prepare,
        };
        _architecture.AcceptOnlyFromAmong([.. Architecture.All.Select(architecture => architecture.Name)]);
        _device.AcceptOnlyFromAmong("auto", "cpu", "cuda");
        _precision.AcceptOnlyFromAmong("auto", "float32", "bfloat16");
        command.Validators.Add(result =>
        {
            foreach (var option in new Option<int>[] { _height, _width, _epochs, _patience, _batch, _threads })
            {
                if (result.GetValue(option) < 0) result.AddError($"{option.Name} must not be negative");
            }
            bool isOfFeatures = Architecture.Named(result.GetResult(_architecture) is { Implicit: false }
                ? result.GetValue(_architecture)!
                : Architecture.Default).IsOfFeatures;
            if (isOfFeatures && result.GetValue(_height) > 0)
                result.AddError("--height follows from --width for the feature architectures");
            if (isOfFeatures && result.GetValue(_width) is var width && width != 0 && (width is < 80 or > 320 || width % 8 != 0))
                result.AddError("--width must be a multiple of 8 from 80 to 320");
            _pairs.Check(result, IsPaired(result), result.GetValue(_width));
            if (IsPaired(result) && result.GetValue(_height) > 0) result.AddError("--height follows from --width for pix2pix");
            if (!isOfFeatures && !IsPaired(result) && result.GetValue(_height) > 0 != result.GetValue(_width) > 0)
                result.AddError("--height and --width go together");
            if (result.GetResult(_stages) is { Implicit: false } && result.GetValue(_stages) is < 1 or > 3)
                result.AddError("--stages must be 1, 2 or 3");
            if (result.GetValue(_backbone) is not null != result.GetValue(_outputs) is { Length: > 0 })
                result.AddError("--backbone and --backbone-outputs go together");
            if (result.GetValue(_backbone) is not null && !isOfFeatures) result.AddError("--backbone goes with the feature architectures");
            if (ScoresNothing(result) && result.GetResult(_mask) is not null)
                result.AddError("--mask goes with architectures that score");
            if (ScoresNothing(result) && result.GetValue(_calibration) is { Length: > 0 })
                result.AddError("--calibration goes with architectures that score");
            if (Asked(result) is { IsAdversarial: true } && result.GetValue(_precision) == "bfloat16")
                result.AddError("--precision bfloat16 does not go with gan, vae-gan and pix2pix");
            if (result.GetValue(_debias) && !isOfFeatures) result.AddError("--debias goes with the feature architectures");
            if (result.GetValue(_debiasShare) is { } share && !(share is > 0 and < 1 && result.GetValue(_debias)))
                result.AddError("--debias-share goes with --debias, and is more than 0 and less than 1");
            if (result.GetValue(_rate) is { } rate && !(rate > 0)) result.AddError("--learning-rate must be positive");
            if (result.GetValue(_framesPerSecond) <= 0) result.AddError("--fps must be positive");
            if (result.GetValue(_beta) < 0 || result.GetValue(_freeBits) < 0)
                result.AddError("--beta and --free-bits must not be negative");
            if (result.GetValue(_capacity) < 0) result.AddError("--capacity must not be negative");
            if (result.GetValue(_capacity) > 0 && result.GetValue(_architecture) != "beta-vae")
                result.AddError("--capacity goes with --architecture beta-vae");
            if (result.GetValue(_finish) && !result.GetValue(_resume)) result.AddError("--finish goes with --resume");
            if (result.GetValue(_split) is { } split && Shares(split) is null)
                result.AddError($"--split {split}: expected three percentages that sum to 100, such as 70,15,15");
        });
        command.SetAction(RunAsync);
        return new Command("outlier") { command };
    }

    private bool ScoresNothing(CommandResult result) => Asked(result) is { Scores: false };

    private bool IsPaired(CommandResult result) => Asked(result) is { IsPaired: true };

    private Architecture? Asked(CommandResult result) => result.GetResult(_architecture) is { Implicit: false }
        ? Architecture.All.FirstOrDefault(architecture => architecture.Name == result.GetValue(_architecture))
        : null;

    private async Task<int> RunAsync(ParseResult options, CancellationToken cancellation)
    {
        try
        {
            return await new TrainingRun(Request(options)).RunAsync(cancellation);
        }
        catch (Exception e) when (e is FootageException or TrainingException or ModelPackageException or ArgumentException or IOException
            or UnauthorizedAccessException or System.Runtime.InteropServices.ExternalException)
        {
            await Console.Error.WriteLineAsync(e.Message.ReplaceLineEndings(" "));
            return 1;
        }
        catch (OperationCanceledException)
        {
            await Console.Error.WriteLineAsync("interrupted before the training began; nothing was written");
            return 130;
        }
    }

    private TrainingRequest Request(ParseResult options) => new()
    {
        Frames = options.GetRequiredValue(_frames),
        Calibration = options.GetValue(_calibration) ?? [],
        Shares = Shares(options.GetValue(_split) ?? (options.GetValue(_calibration)?.Length > 0
            || !Architecture.Named(options.GetRequiredValue(_architecture)).Scores ? "100,0,0" : "70,15,15"))!,
        FramesPerSecond = options.GetValue(_framesPerSecond),
        Mask = options.GetValue(_mask)?.FullName,
        Directory = options.GetRequiredValue(_out).FullName.TrimEnd(Path.DirectorySeparatorChar),
        Architecture = Architecture.Named(options.GetRequiredValue(_architecture)),
        Size = options.GetValue(_height) > 0 ? new FrameSize(options.GetValue(_height), options.GetValue(_width)) : null,
        Width = options.GetValue(_width) > 0 ? options.GetValue(_width) : DefaultWidth,
        Stages = options.GetValue(_stages),
        Backbone = options.GetValue(_backbone)?.FullName,
        BackboneOutputs = options.GetValue(_outputs) ?? [],
        BackboneLicence = options.GetRequiredValue(_backboneLicence),
        Latent = options.GetValue(_latent),
        Epochs = options.GetValue(_epochs),
        Patience = options.GetValue(_patience),
        Batch = options.GetValue(_batch),
        LearningRate = options.GetValue(_rate),
        Beta = options.GetValue(_beta),
        Capacity = options.GetValue(_capacity),
        FreeBits = options.GetValue(_freeBits),
        Seed = options.GetValue(_seed),
        Device = options.GetRequiredValue(_device),
        Precision = options.GetRequiredValue(_precision),
        Threads = options.GetValue(_threads),
        LibTorch = options.GetValue(_libtorch)?.FullName ?? Environment.GetEnvironmentVariable("LIBTORCH_DIR"),
        Debias = options.GetValue(_debias),
        DebiasShare = options.GetValue(_debiasShare),
        Pairs = Architecture.Named(options.GetRequiredValue(_architecture)).IsPaired
            ? _pairs.Request(options, options.GetValue(_width)) : null,
        Resume = options.GetValue(_resume),
        Finish = options.GetValue(_finish),
        Description = options.GetRequiredValue(_description),
        Source = options.GetRequiredValue(_source),
        Licence = options.GetRequiredValue(_licence),
        Version = options.GetRequiredValue(_version),
        Command = Command(options),
    };

    /// <summary>This command line as it stands in the card, after the one that made the footage.</summary>
    private string Command(ParseResult options)
    {
        string prepare = options.GetRequiredValue(_prepare);
        var tokens = options.Tokens.Skip(1).Select(token => token.Value).Where(token => token is not ("--resume" or "--finish")).ToList();
        int at = tokens.IndexOf("--prepare");
        if (at >= 0) tokens.RemoveRange(at, 2);
        string train = "dotnet run -c Release --project src/OutlierPipeline.Cli -- train " + ShellText.Join(tokens);
        return prepare.Length > 0 ? $"{prepare} && {train}" : train;
    }

    private static double[]? Shares(string text)
    {
        string[] parts = text.Split(',');
        double[] shares = [.. parts.Select(part => double.TryParse(part, CultureInfo.InvariantCulture, out double share)
            ? share / 100
            : -1)];
        return shares.Length == 3 && shares[0] > 0 && shares.All(share => share >= 0) && Math.Abs(shares.Sum() - 1) < 1e-6 ? shares : null;
    }
}
