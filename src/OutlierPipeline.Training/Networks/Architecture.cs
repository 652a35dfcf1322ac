namespace OutlierPipeline.Training.Networks;

/// <summary>One way to train the network: all share <see cref="PatchNetwork"/>, the loss differs.</summary>
/// <param name="Name">As in <c>--architecture</c> and in model cards.</param>
/// <param name="Beta">Default weight of the KL divergence.</param>
public sealed record Architecture(string Name, string Paper, bool IsVariational, double Beta)
{
    private const string SigmaVae =
        "observation variance: Rybkin, Daniilidis and Levine, Simple and Effective VAE Training with Calibrated Decoders, ICML 2021";

    public static IReadOnlyList<Architecture> All { get; } =
    [
        new("ae", $"Hinton and Salakhutdinov, Reducing the Dimensionality of Data with Neural Networks, Science 2006; {SigmaVae}",
        IsVariational: false, Beta: 0),
        new("vae", $"Kingma and Welling, Auto-Encoding Variational Bayes, ICLR 2014; {SigmaVae}", IsVariational: true, Beta: 1),
        new("beta-vae",
            $"Higgins et al., beta-VAE: Learning Basic Visual Concepts with a Constrained Variational Framework, ICLR 2017; {SigmaVae}",
            IsVariational: true, Beta: 4),
    ];

    public static Architecture Named(string name) => All.FirstOrDefault(architecture => architecture.Name == name)
        ?? throw new TrainingException(
        $"--architecture {name}: expected {string.Join(", ", All.Select(architecture => architecture.Name))}");
}
