using System.CommandLine;
using System.CommandLine.Parsing;
using OutlierPipeline.Footage;

namespace OutlierPipeline.Training.Paired;

/// <summary>The options of <c>outlier train</c> that go with <c>--architecture pix2pix</c>.</summary>
internal sealed class PairedOptions
{
    /// <summary>Pixels across of the frames that maps are made of.</summary>
    private const int DefaultWidth = 480;

    private const int DefaultPictureWidth = 128;
    private const double DefaultWeight = 0.02;

    public Option<string[]> Labels { get; } = new("--labels")
    {
        AllowMultipleArgumentsPerToken = true,
        Description = "For pix2pix: directories of label maps (PNG, a class index a pixel, of the frames' names and sizes), one for all " +
            "--frames or one for each; by default the directory labels beside the frames"
    };

    public Option<string> Classes { get; } = new("--classes")
    {
        DefaultValueFactory = _ => LabelClasses.CamVidName,
        Description = "For pix2pix: what the indices mean: camvid, or a text file with a line name,#rrggbb for each; void is nothing"
    };

    public Option<string> Direction { get; } = new("--direction")
    {
        DefaultValueFactory = _ => "both",
        Description = "For pix2pix: to map, to picture, or both, one after the other"
    };

    public Option<double> AdversarialWeight { get; } = new("--adversarial-weight")
    {
        DefaultValueFactory = _ => DefaultWeight,
        Description = "For pix2pix: weight of the discriminator's verdict beside the difference to the truth; 0 trains without it"
    };

    public Option<bool> Probe { get; } = new("--probe")
    {
        Description = "For pix2pix: to maps by a linear classifier of the backbone's values alone, as a mark to compare with"
    };

    public Option<int> PictureWidth { get; } = new("--picture-width")
    {
        DefaultValueFactory = _ => DefaultPictureWidth,
        Description = "For pix2pix: width of the pictures that are drawn of maps, a multiple of 16"
    };

    /// <param name="isPaired">Whether pix2pix is asked for.</param>
    /// <param name="width">Of <c>--width</c>, 0 where it is not given.</param>
    public void Check(CommandResult result, bool isPaired, int width)
    {
        foreach (var option in new Option[] { Labels, Classes, Direction, AdversarialWeight, Probe, PictureWidth })
        {
            if (!isPaired && result.GetResult(option) is { Implicit: false })
                result.AddError($"{option.Name} goes with --architecture pix2pix");
        }
        if (!isPaired) return;
        if (width != 0 && (width is < 64 or > 1280 || width % 8 != 0))
            result.AddError("--width must be a multiple of 8 from 64 to 1280 for pix2pix");
        int across = Given(PictureWidth, DefaultPictureWidth);
        if (across is < 32 or > 512 || across % 16 != 0) result.AddError("--picture-width must be a multiple of 16 from 32 to 512");
        double weight = Given(AdversarialWeight, DefaultWeight);
        if (!(weight >= 0)) result.AddError("--adversarial-weight must not be negative");
        string direction = Given(Direction, "both");
        if (direction is not ("map" or "picture" or "both"))
            result.AddError($"--direction {direction}: expected map, picture or both");
        if (result.GetValue(Probe) && direction != "map") result.AddError("--probe goes with --direction map");
        if (result.GetValue(Probe) && weight > 0) result.AddError("--probe goes with --adversarial-weight 0");

        // Defaults are not there yet when options are checked.
        T Given<T>(Option<T> option, T otherwise) =>
            result.GetResult(option) is { Implicit: false } && result.GetValue(option) is { } value ? value : otherwise;
    }

    public PairedRequest Request(ParseResult options, int width) => new()
    {
        Labels = options.GetValue(Labels) ?? [],
        Classes = options.GetRequiredValue(Classes),
        ToMap = options.GetRequiredValue(Direction) is "map" or "both",
        ToPicture = options.GetRequiredValue(Direction) is "picture" or "both",
        AdversarialWeight = options.GetValue(AdversarialWeight),
        IsProbe = options.GetValue(Probe),
        Width = width > 0 ? width : DefaultWidth,
        PictureWidth = options.GetValue(PictureWidth),
    };
}
