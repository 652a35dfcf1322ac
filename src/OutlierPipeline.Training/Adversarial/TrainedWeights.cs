using static TorchSharp.torch;

namespace OutlierPipeline.Training.Adversarial;

/// <summary>A network's weights with the optimizer that moves them.</summary>
internal sealed class TrainedWeights : IDisposable
{
    private readonly Dictionary<string, Tensor> _weights = [];
    private readonly TorchSharp.Modules.OptimizerHelper _optimizer;

    /// <param name="weights">Name, shape and fan-in; He et al. 2015.</param>
    /// <param name="gain">What the first values of a weight are multiplied with.</param>
    /// <param name="momentum">None, as a game needs: what the other did a few steps ago counts no more (Mescheder et al. 2018).</param>
    public TrainedWeights(IEnumerable<(string Name, long[] Shape, long FanIn)> weights, Func<string, double> gain, double learningRate,
        Device device, double momentum = 0)
    {
        var parameters = new List<TorchSharp.Modules.Parameter>();
        foreach (var (name, shape, fanIn) in weights)
        {
            using var values = fanIn == 0 ? zeros(shape) : randn(shape) * (Math.Sqrt(2.0 / fanIn) * gain(name));
            var parameter = new TorchSharp.Modules.Parameter(values.to(device).clone());
            parameters.Add(parameter);
            _weights[name] = parameter;
        }
        Ops = new TorchOps(_weights, device);
        _optimizer = optim.Adam(parameters, learningRate, beta1: momentum, beta2: 0.99);
    }

    public TorchOps Ops { get; }

    public IReadOnlyDictionary<string, Tensor> All => _weights;

    /// <summary>From the next step on.</summary>
    public double LearningRate
    {
        set
        {
            foreach (var group in _optimizer.ParamGroups) group.LearningRate = value;
        }
    }

    /// <summary>Moves the weights once against the gradient of a loss.</summary>
    public void Descend(Tensor loss)
    {
        _optimizer.zero_grad();
        loss.backward();
        _optimizer.step();
    }

    public void Save(BinaryWriter writer)
    {
        Checkpoint.Write(writer, _weights.ToDictionary(weight => weight.Key, weight => Trainer.Values(weight.Value)));
        _optimizer.save_state_dict(writer);
    }

    public void Load(BinaryReader reader)
    {
        using (no_grad())
        {
            foreach (var (name, values) in Checkpoint.Read(reader))
            {
                using var loaded = tensor(values, _weights[name].shape).to(_weights[name].device);
                _weights[name].copy_(loaded);
            }
        }
        _optimizer.load_state_dict(reader);
    }

    public void Dispose()
    {
        _optimizer.Dispose();
        foreach (var weight in _weights.Values) weight.Dispose();
    }
}
