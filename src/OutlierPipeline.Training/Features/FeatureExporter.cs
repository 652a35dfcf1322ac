using OutlierPipeline.Evaluation;
using OutlierPipeline.Footage;
using OutlierPipeline.Frames;
using OutlierPipeline.Models;
using OutlierPipeline.Training.Onnx;
using static TorchSharp.torch;

namespace OutlierPipeline.Training.Features;

/// <summary>
/// Turns a backbone and a trained <see cref="FeatureNetwork"/> into graphs: fits the scores to the training frames and writes
/// <c>model.onnx</c> and <c>decoder.onnx</c>.
/// </summary>
public sealed class FeatureExporter : IModelExporter
{
    private const int Batch = 16;

    /// <summary>Scores are fitted to at most so many frames, evenly spread.</summary>
    private const int MaxFrames = 6_000;

    /// <summary>Blocks of time for cross-fitting.</summary>
    private const int Blocks = 5;

    private readonly Backbone _backbone;
    private readonly FeatureNetwork _network;
    private readonly Dictionary<string, (float[] Values, long[] Shape)> _weights;
    private readonly byte[] _fill;
    private readonly FrameMask? _mask;
    private readonly PixelDecoder _pixels;
    private readonly IReadOnlyList<CellScore> _scores;

    /// <param name="fill">The picture that stands where a mask leaves pixels out, <c>[H, W, 3]</c>.</param>
    /// <param name="mask">Region of interest of the training frames, or null. The graphs take it as an input; it is not part of
    /// them.</param>
    public FeatureExporter(Backbone backbone, FeatureNetwork network, IReadOnlyDictionary<string, (float[] Values, long[] Shape)> weights,
        byte[] fill, FrameMask? mask = null)
    {
        _backbone = backbone;
        _network = network;
        _weights = new Dictionary<string, (float[], long[])>(weights);
        _fill = fill;
        _mask = mask;
        _pixels = new PixelDecoder(network.Size, Latent);
        _scores = CreateScores(network);
    }

    public FrameSize Size => _network.Size;

    /// <inheritdoc/>
    public CauseModel? Causes { get; set; }

    /// <summary>Mean and deviation of every dimension of the cells' codes.</summary>
    public int Latent => 2 * _network.Code;

    public IReadOnlyList<ScoreEntry> Scores =>
        [.. _scores.Select(score => new ScoreEntry(score.Name, score.IsCombined, score.IsWatched, score.IsLocal))];

    /// <summary>
    /// Fits every score to the training frames. Returns the scores that each of them has where its own block of time was left out, n rows
    /// of S; and the frames' codes.
    /// </summary>
    /// <param name="frames">Indices of the frames in <paramref name="features"/>, in time order.</param>
    public (float[][] CrossFitted, float[][] Codes, int[] Frames) Fit(FeatureFootage features, int[] frames)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        int n = Math.Min(MaxFrames, frames.Length);
        int[] chosen = [.. Enumerable.Range(0, n).Select(i => frames[(int)((long)i * frames.Length / n)])];
        var ops = TorchOps();
        Tensor[] all = Features(ops, features, chosen);
        float[][] crossFitted = [.. Enumerable.Range(0, n).Select(_ => new float[_scores.Count])];
        for (int block = 0; block < Blocks; block++)
        {
            int from = block * n / Blocks;
            int to = (block + 1) * n / Blocks;
            var left = CreateScores(_network);
            for (int k = 0; k < left.Count; k++)
            {
                float[] values = Uncollected.Run(() => LeftOut(ops, left[k], all[k], from, to));
                for (int i = from; i < to; i++) crossFitted[i][k] = values[i - from];
            }
        }
        FitTo(all);
        int codes = _scores.ToList().FindIndex(score => score is CodesScore);
        float[] latent = Uncollected.Run(() => Places.Values(((CodesScore)_scores[codes]).FrameCode(ops, all[codes])));
        return (crossFitted, [.. latent.Chunk(Latent)], chosen);
    }

    /// <summary>The codes of some frames, n rows of Z, whitened by these very frames; no score is fitted.</summary>
    /// <param name="frames">Indices of the frames in <paramref name="features"/>.</param>
    public float[][] Codes(FeatureFootage features, int[] frames)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var ops = TorchOps();
        var score = new CodesScore();
        var parts = new List<Tensor>();
        foreach (int[] batch in frames.Chunk(Batch))
            parts.Add(Uncollected.Run(() =>
            {
                using var inner = NewDisposeScope();
                return score.Features(ops, Inputs(ops, features.Rows(batch))).MoveToOuterDisposeScope();
            }));
        var all = cat(parts, 0);
        score.Fit(all);
        return [.. Places.Values(score.FrameCode(ops, all)).Chunk(Latent)];
    }

    /// <summary>Fits every score to some frames, and says what others score by that: n rows of S.</summary>
    /// <param name="fitted">Indices of the frames in <paramref name="features"/> that are fitted to.</param>
    /// <param name="scored">Indices of those that are scored.</param>
    public float[][] ScoreOthers(FeatureFootage features, int[] fitted, int[] scored)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var ops = TorchOps();
        int n = Math.Min(MaxFrames, fitted.Length);
        FitTo(Features(ops, features, [.. Enumerable.Range(0, n).Select(i => fitted[(int)((long)i * fitted.Length / n)])]));
        float[][] rows = new float[scored.Length][];
        for (int first = 0; first < scored.Length; first += Batch)
        {
            int[] batch = scored[first..Math.Min(scored.Length, first + Batch)];
            float[] scores = Uncollected.Run(() =>
            {
                using var inner = NewDisposeScope();
                return Places.Values(Outputs(ops, Inputs(ops, features.Rows(batch))).Scores);
            });
            for (int i = 0; i < batch.Length; i++) rows[first + i] = scores[(i * _scores.Count)..((i + 1) * _scores.Count)];
        }
        return rows;
    }

    /// <summary>Each score's features of some frames, <c>[n, …]</c>.</summary>
    private Tensor[] Features(TorchOps ops, FeatureFootage features, int[] frames)
    {
        var parts = _scores.Select(_ => new List<Tensor>()).ToArray();
        foreach (int[] batch in frames.Chunk(Batch))
        {
            Uncollected.Run(() =>
            {
                using var inner = NewDisposeScope();
                var inputs = Inputs(ops, features.Rows(batch));
                for (int k = 0; k < _scores.Count; k++) parts[k].Add(_scores[k].Features(ops, inputs).MoveToOuterDisposeScope());
                return true;
            });
        }
        return [.. parts.Select(part => cat(part, 0))];
    }

    private void FitTo(Tensor[] all)
    {
        for (int k = 0; k < _scores.Count; k++)
        {
            Uncollected.Run(() =>
            {
                _scores[k].Fit(all[k]);
                return true;
            });
        }
    }

    /// <summary>Scores of some rows of features where these are left out of the fit.</summary>
    private static float[] LeftOut(TorchOps ops, CellScore score, Tensor features, int from, int to)
    {
        using var scope = NewDisposeScope();
        score.Fit(cat([features.narrow(0, 0, from), features.narrow(0, to, features.shape[0] - to)], 0));
        return Places.Values(score.Compute(ops, features.narrow(0, from, to - from)));
    }

    /// <summary>Trains what draws codes.</summary>
    /// <returns>The mean squared error of a pixel value.</returns>
    public double TrainPixels(DecodedFootage footage, float[][] codes, int[] frames, int steps, int seed, CancellationToken cancellation)
    {
        var (weights, error) = _pixels.Train(footage, codes, frames, steps, seed, cancellation);
        foreach (var (name, weight) in weights) _weights[name] = weight;
        return error;
    }

    /// <summary>What causes are told by: what the residual's score is computed from, n rows of 2 C.</summary>
    /// <param name="frames"><c>[H, W, 3]</c> each.</param>
    public float[][] Profiles(FeatureRunner runner, IEnumerable<byte[]> frames)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var ops = TorchOps();
        var residual = new ResidualScore();
        return [.. frames.Chunk(Batch).SelectMany(chunk =>
        {
            float[] cells = runner.Run([.. chunk.SelectMany(frame => frame)]);
            return Uncollected.Run(() =>
            {
                using var inner = NewDisposeScope();
                var inputs = Inputs(ops, tensor(cells, [cells.Length / _network.Channels, _network.Channels]));
                return Places.Values(residual.Features(ops, inputs)).Chunk(2 * _network.Channels).ToArray();
            });
        })];
    }

    /// <summary>What TorchSharp computes of the backbone's values: the reference for the graph.</summary>
    /// <param name="cells"><c>[n, h·w, C]</c>.</param>
    /// <returns>Scores <c>[n, S]</c>, code <c>[n, Z]</c> and error map <c>[n, h·w]</c>.</returns>
    public (float[] Scores, float[] Latent, float[] ErrorMap) Reference(float[] cells)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var ops = TorchOps();
        var inputs = Inputs(ops, tensor(cells, [cells.Length / _network.Channels, _network.Channels]));
        var (scores, latent, map, _) = Outputs(ops, inputs);
        return (Places.Values(scores), Places.Values(latent), Places.Values(map));
    }

    /// <inheritdoc/>
    public byte[] WriteModel(string name, string version, string source)
    {
        var ops = NewOps();
        string image = ops.Input("image", OnnxOps.ByteType, Size.Height, Size.Width, 3);
        byte[] ones = new byte[Size.Height * Size.Width];
        Array.Fill(ones, (byte)1);
        string mask = ops.OptionalInput("mask", ones, Size.Height, Size.Width);
        string cells = FeatureNetwork.Standardise(ops, FeatureRunner.Write(ops, _backbone, Size, _fill, image, mask));
        var (scores, latent, map, profile) = Outputs(ops, _network.Inputs(ops, cells, _network.Counted(ops, mask)));
        if (Causes is not null) ops.Output("profile", profile, OnnxOps.FloatType, 2 * _network.Channels);
        ops.Output("scores", scores, OnnxOps.FloatType, _scores.Count);
        ops.Output("latent", latent, OnnxOps.FloatType, Latent);
        ops.Output("error_map", ops.Reshape(map, _network.Rows, _network.Columns), OnnxOps.FloatType, _network.Rows, _network.Columns);
        ops.Output("reconstruction", Pixels(ops, _pixels.Draw(ops, latent)), OnnxOps.ByteType, Size.Height, Size.Width, 3);
        return ops.ToModel(new Dictionary<string, string>
        {
            ["scores"] = string.Join(',', _scores.Select(score => score.Name)),
            ["name"] = name,
            ["version"] = version,
            ["source"] = source,
            ["backbone"] = $"{_backbone.Card.Name}, {_backbone.Card.Licence}, {_backbone.Card.Digest}",
        });
    }

    /// <inheritdoc/>
    public byte[] WriteNetwork()
    {
        var ops = NewOps();
        string image = ops.Input("image", OnnxOps.ByteType, Size.Height, Size.Width, 3);
        string cells = FeatureNetwork.Standardise(ops, _backbone.Write(ops, ops.ToFloat(image), Size));
        var places = ops.Constant(_network.Places(), _network.Cells, 5);
        var (code, _) = _network.Encode(ops, cells, FeatureNetwork.AtPlace(ops, places, "encode"), AtEach);
        var (mean, logVariance) = _network.Decode(ops, code, FeatureNetwork.AtPlace(ops, places, "decode"), AtEach);
        ops.Output("mean", mean, OnnxOps.FloatType, _network.Channels);
        ops.Output("log_variance", logVariance, OnnxOps.FloatType, _network.Channels);
        return ops.ToModel(new Dictionary<string, string>());

        string AtEach(string hidden, string place) => _network.AtEach(ops, hidden, place);
    }

    /// <inheritdoc/>
    public byte[] WriteDecoder()
    {
        var ops = NewOps();
        string latent = ops.Input("latent", OnnxOps.FloatType, Latent);
        ops.Output("image", Pixels(ops, _pixels.Draw(ops, latent)), OnnxOps.ByteType, Size.Height, Size.Width, 3);
        return ops.ToModel(new Dictionary<string, string>());
    }

    /// <inheritdoc/>
    public NetworkCard Describe(TrainingSettings settings) => new()
    {
        Architecture = settings.Architecture.Name,
        Paper = settings.Architecture.Paper,
        Backbone = _backbone.Card,
        Height = Size.Height,
        Width = Size.Width,
        Latent = Latent,
        CellSide = FrameMask.CellSide,
        LastWeight = FeatureNetwork.LastWeight,
        ErrorMapHeight = _network.Rows,
        ErrorMapWidth = _network.Columns,
        Parameters = _backbone.Parameters + _weights.Values.Sum(weight => (long)weight.Values.Length),
        FlopsPerFrame = _backbone.Flops(Size) + _network.FlopsPerFrame(),
        HyperParameters = HyperParameters(settings),
    };

    private static Dictionary<string, double> HyperParameters(TrainingSettings settings)
    {
        var parameters = new Dictionary<string, double>
        {
            ["batch"] = settings.Batch,
            ["learningRate"] = settings.LearningRate,
            ["beta"] = settings.Beta,
            ["freeBits"] = settings.FreeBits
        };
        if (!settings.IsDebiased) return parameters;
        parameters["debiasBins"] = LatentHistogram.Bins;
        parameters["debiasSmoothing"] = LatentHistogram.Smoothing;
        parameters["debiasEffectiveShare"] = settings.DebiasShare;
        return parameters;
    }

    /// <summary>The scores in the order of the graph's output.</summary>
    private static IReadOnlyList<CellScore> CreateScores(FeatureNetwork network) =>
    [
        new ResidualScore(), new StripsScore(network), new PlacesScore(network, "likelihood", isLikelihood: true, isCombined: false),
        new PlacesScore(network, "local", isLikelihood: false, isCombined: true), new CodesScore(),
    ];

    private (T Scores, T Latent, T Map, T Profile) Outputs<T>(TensorOps<T> ops, CellInputs<T> inputs)
    {
        var scores = new List<T>();
        T? latent = default;
        T? map = default;
        T? profile = default;
        foreach (var score in _scores)
        {
            var features = score.Features(ops, inputs);
            if (score is ResidualScore) profile = features;
            if (score is CodesScore codes) latent = codes.FrameCode(ops, features);
            if (score is PlacesScore { IsCombined: true } places) map = places.Map(ops, features);
            scores.Add(score.Compute(ops, features));
        }
        return (ops.Concat([.. scores]), latent!, map!, profile!);
    }

    private CellInputs<Tensor> Inputs(TorchOps ops, Tensor cells) =>
        _network.Inputs(ops, FeatureNetwork.Standardise(ops, cells), Counted(ops));

    private Tensor Counted(TorchOps ops) => _network.Counted(ops, _mask is null
        ? ones([1, Size.Height, Size.Width])
        : tensor(_mask.Pixels.ToArray(), [1, Size.Height, Size.Width]).to(float32));

    private TorchOps TorchOps() =>
        new(_weights.ToDictionary(weight => weight.Key, weight => tensor(weight.Value.Values, weight.Value.Shape)), CPU);

    private OnnxOps NewOps() => new(_weights, _pixels.Weights().Select(weight => weight.Name).ToHashSet());

    private string Pixels(OnnxOps ops, string patches)
    {
        var levels = ops.Multiply(ops.Add(patches, ops.Constant(0.5)), ops.Constant(255));
        return ops.FromPatches(ops.Cast(ops.Round(ops.Clip(levels, 0, 255)), OnnxOps.ByteType), Size, 3, FrameMask.CellSide);
    }
}
