using OutlierPipeline.Footage;
using OutlierPipeline.Frames;
using OutlierPipeline.Models;
using OutlierPipeline.Training.Networks;
using OutlierPipeline.Training.Onnx;
using OutlierPipeline.Training.Scores;
using static TorchSharp.torch;

namespace OutlierPipeline.Training;

/// <summary>
/// Turns trained weights into graphs: fits the scores' densities to the training frames, and writes <c>model.onnx</c> and
/// <c>decoder.onnx</c>.
/// </summary>
public sealed class ModelExporter : IModelExporter
{
    private const int Batch = 32;

    /// <summary>Densities are fitted to at most so many frames, evenly spread: more would only take longer.</summary>
    private const int MaxFrames = 6_000;

    /// <summary>Blocks of time for cross-fitting.</summary>
    private const int Blocks = 5;

    private readonly PatchNetwork _network;
    private readonly IReadOnlyDictionary<string, (float[] Values, long[] Shape)> _weights;
    private readonly FrameMask? _mask;
    private readonly Critic? _critic;

    /// <param name="mask">Region of interest of the training frames, or null. The graphs take it as an input; it is not part of
    /// them.</param>
    /// <param name="critic">The discriminator of the training, whose weights are among these; null where there was none.</param>
    public ModelExporter(PatchNetwork network, IReadOnlyDictionary<string, (float[] Values, long[] Shape)> weights, FrameMask? mask = null,
        Critic? critic = null)
    {
        _network = network;
        _weights = weights;
        _mask = mask;
        _critic = critic;
        Scores = ScoreRegistry.Create(network.Size, network.IsVariational, critic);
    }

    public IReadOnlyList<Score> Scores { get; }

    public FrameSize Size => _network.Size;

    IReadOnlyList<ScoreEntry> IModelExporter.Scores =>
        [.. Scores.Select(score => new ScoreEntry(score.Name, score.IsCombined, score.IsCombined, score.IsLocal))];

    /// <summary>None: what is told by is the residual's profile of a feature VAE.</summary>
    CauseModel? IModelExporter.Causes => null;

    /// <summary>The error map's sides: one cell a patch.</summary>
    public (int Rows, int Columns) ErrorMap => (_network.Size.Height / PatchNetwork.Patch, _network.Size.Width / PatchNetwork.Patch);

    /// <summary>
    /// Fits every score's density; the frames must be those of the training, never those of the calibration. Returns the scores that each
    /// of the frames has where
    /// its own block of time was left out of the fit: what normal frames elsewhere would have.
    /// </summary>
    /// <returns>n rows of S, in the footage's order.</returns>
    /// <remarks>Cross-conformal prediction: Vovk, Annals of Mathematics and Artificial Intelligence 2015.</remarks>
    public float[][] FitScores(DecodedFootage footage)
    {
        using var off = no_grad();
        var ops = TorchOps();
        var features = Scores.Select(_ => new List<float[]>()).ToArray();
        int frames = Math.Min(MaxFrames, footage.Count);
        int[] chosen = [.. Enumerable.Range(0, frames).Select(i => (int)((long)i * footage.Count / frames))];
        foreach (int[] batch in chosen.Chunk(Batch))
        {
            using var scope = NewDisposeScope();
            var inputs = Inputs(ops, Training.TorchOps.Pixels(footage, batch, CPU), Mask(), out _);
            for (int k = 0; k < Scores.Count; k++)
            {
                var rows = Scores[k].Features(ops, inputs);
                float[] values = rows.contiguous().data<float>().ToArray();
                features[k].AddRange(values.Chunk((int)rows.shape[1]));
            }
        }
        float[][] crossFitted = [.. Enumerable.Range(0, frames).Select(_ => new float[Scores.Count])];
        for (int block = 0; block < Blocks; block++)
        {
            int from = block * frames / Blocks;
            int to = (block + 1) * frames / Blocks;
            var left = ScoreRegistry.Create(_network.Size, _network.IsVariational, _critic);
            for (int k = 0; k < left.Count; k++)
            {
                left[k].Fit([.. features[k][..from], .. features[k][to..]]);
                int score = k;
                Parallel.For(from, to, i => crossFitted[i][score] = (float)left[score].Evaluate(features[score][i]));
            }
        }
        for (int k = 0; k < Scores.Count; k++) Scores[k].Fit([.. features[k]]);
        return crossFitted;
    }

    /// <summary>What TorchSharp computes of frames: the reference for the graph.</summary>
    /// <returns>Scores <c>[n, S]</c>, code <c>[n, Z]</c> and error map <c>[n, h·w]</c>.</returns>
    public (float[] Scores, float[] Latent, float[] ErrorMap) Reference(DecodedFootage footage, int first, int count)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var ops = TorchOps();
        var inputs = Inputs(ops, Training.TorchOps.Pixels(footage, [.. Enumerable.Range(first, count)], CPU), Mask(), out _);
        var scores = ComputeScores(ops, inputs);
        var map = Scores.OfType<LocalScore>().Single().Map(ops, inputs);
        return (Values(scores), Values(inputs.Mean), Values(map));
    }

    /// <summary>A frame less its drawing, <c>[H, W, 3]</c>, from −1 to 1, as TorchSharp computes it.</summary>
    /// <param name="frame"><c>[H, W, 3]</c> uint8, RGB.</param>
    public float[] Residual(byte[] frame)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var ops = TorchOps();
        var patches = _network.Patches(ops, tensor(frame, [1, _network.Size.Height, _network.Size.Width, 3]));
        var (mean, _) = _network.Encode(ops, PatchNetwork.Analyse(ops, patches));
        return Values(ops.FromPatches(patches / 255 - 0.5 - PatchNetwork.Synthesise(ops, _network.Decode(ops, mean)), _network.Size, 3,
            PatchNetwork.Patch));
    }

    /// <summary>The bytes of <c>model.onnx</c>.</summary>
    public byte[] WriteModel(string name, string version, string source)
    {
        var ops = new OnnxOps(_weights);
        var size = _network.Size;
        string image = ops.Input("image", OnnxOps.ByteType, size.Height, size.Width, 3);
        byte[] ones = new byte[size.Height * size.Width];
        Array.Fill(ones, (byte)1);
        string mask = ops.OptionalInput("mask", ones, size.Height, size.Width);
        var inputs = Inputs(ops, image, mask, out string drawn);
        ops.Output("scores", ComputeScores(ops, inputs), OnnxOps.FloatType, Scores.Count);
        ops.Output("latent", inputs.Mean, OnnxOps.FloatType, _network.Latent);
        string map = Scores.OfType<LocalScore>().Single().Map(ops, inputs);
        ops.Output("error_map", ops.Reshape(map, ErrorMap.Rows, ErrorMap.Columns), OnnxOps.FloatType, ErrorMap.Rows, ErrorMap.Columns);
        ops.Output("reconstruction", Pixels(ops, drawn), OnnxOps.ByteType, size.Height, size.Width, 3);
        if (inputs.LogVariance is not null) ops.Output("latent_log_variance", inputs.LogVariance, OnnxOps.FloatType, _network.Latent);
        return ops.ToModel(new Dictionary<string, string>
        {
            ["scores"] = string.Join(',', Scores.Select(score => score.Name)),
            ["name"] = name,
            ["version"] = version,
            ["source"] = source,
        });
    }

    /// <summary>A graph of the network alone, without scores: what scoring is compared with.</summary>
    public byte[] WriteNetwork()
    {
        var ops = new OnnxOps(_weights);
        var size = _network.Size;
        string image = ops.Input("image", OnnxOps.ByteType, size.Height, size.Width, 3);
        var (mean, _) = _network.Encode(ops, PatchNetwork.Analyse(ops, _network.Patches(ops, image)));
        ops.Output("latent", mean, OnnxOps.FloatType, _network.Latent);
        ops.Output("reconstruction", Pixels(ops, _network.Decode(ops, mean)), OnnxOps.ByteType, size.Height, size.Width, 3);
        return ops.ToModel(new Dictionary<string, string>());
    }

    /// <summary>The bytes of <c>decoder.onnx</c>: <c>latent</c> <c>[N, Z]</c> to <c>image</c> uint8 <c>[N, H, W, 3]</c>.</summary>
    public byte[] WriteDecoder()
    {
        var ops = new OnnxOps(_weights);
        string latent = ops.Input("latent", OnnxOps.FloatType, _network.Latent);
        ops.Output("image", Pixels(ops, _network.Decode(ops, latent)), OnnxOps.ByteType, _network.Size.Height, _network.Size.Width, 3);
        return ops.ToModel(new Dictionary<string, string>());
    }

    /// <inheritdoc/>
    public NetworkCard Describe(TrainingSettings settings) => new()
    {
        Architecture = settings.Architecture.Name,
        Paper = settings.Architecture.Paper,
        Height = _network.Size.Height,
        Width = _network.Size.Width,
        Latent = _network.Latent,
        CellSide = PatchNetwork.Patch,
        LastWeight = PatchNetwork.DrawWeight,
        ErrorMapHeight = ErrorMap.Rows,
        ErrorMapWidth = ErrorMap.Columns,
        Parameters = _network.Weights().Concat(_critic?.Weights() ?? []).Sum(weight => weight.Shape.Aggregate(1L, (product, side) =>
            product * side)),
        FlopsPerFrame = _network.FlopsPerFrame() + (_critic?.FlopsPerPicture() ?? 0),
        HyperParameters = new Dictionary<string, double>
        {
            ["batch"] = settings.Batch,
            ["learningRate"] = settings.LearningRate,
            ["beta"] = settings.Beta,
            ["freeBits"] = settings.FreeBits,
            ["capacity"] = settings.Capacity,
        },
    };

    /// <summary>All scores in their order, <c>[N, S]</c>.</summary>
    private T ComputeScores<T>(TensorOps<T> ops, ScoreInputs<T> inputs) =>
        ops.Concat([.. Scores.Select(score => score.Compute(ops, inputs))]);

    private string Pixels(OnnxOps ops, string coefficients)
    {
        var levels = ops.Multiply(ops.Add(PatchNetwork.Synthesise(ops, coefficients), ops.Constant(0.5)), ops.Constant(255));
        return ops.FromPatches(ops.Cast(ops.Round(ops.Clip(levels, 0, 255)), OnnxOps.ByteType), _network.Size, 3, PatchNetwork.Patch);
    }

    private static float[] Values(Tensor tensor) => tensor.contiguous().data<float>().ToArray();

    private Tensor Mask() => _mask is null
        ? ones([1, _network.Size.Height, _network.Size.Width])
        : tensor(_mask.Pixels.ToArray(), [1, _network.Size.Height, _network.Size.Width]).to(float32);

    private TorchOps TorchOps() =>
        new(_weights.ToDictionary(weight => weight.Key, weight => tensor(weight.Value.Values, weight.Value.Shape)), CPU);

    /// <summary>In use the code is its mean: nothing is drawn at random.</summary>
    private ScoreInputs<T> Inputs<T>(TensorOps<T> ops, T pixels, T mask, out T drawn)
    {
        var counted = _network.Counted(ops, mask);
        var picture = _network.Filled(ops, PatchNetwork.Analyse(ops, _network.Patches(ops, pixels)), counted);
        var (mean, logVariance) = _network.Encode(ops, picture);
        drawn = _network.Decode(ops, mean);
        var patches = PatchFeatures.Of(ops, picture, drawn, counted);
        return new ScoreInputs<T>(_network.Size, mean, logVariance, patches)
        {
            Planes = _critic is null ? default : _network.Planes(ops, picture)
        };
    }
}
