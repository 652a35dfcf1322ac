namespace OutlierPipeline.Training.Networks;

/// <summary>
/// One way to train: of pixels, <see cref="PatchNetwork"/> or <see cref="PictureGenerator"/>, or of a frozen backbone's values,
/// <see cref="Features.FeatureNetwork"/>, with its loss.
/// </summary>
/// <param name="Name">As in <c>--architecture</c> and in model cards.</param>
/// <param name="Beta">Default weight of the KL divergence, or of its part that is weighed.</param>
public sealed record Architecture(string Name, string Paper, bool IsVariational, double Beta)
{
    /// <summary>What is trained unless another is asked for.</summary>
    public const string Default = "feature-vae";

    /// <summary>Translates between pictures and segmentation maps.</summary>
    public const string Pix2Pix = "pix2pix";

    private const string Features = "of features: He et al., Deep Residual Learning for Image Recognition, CVPR 2016";
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
        new("beta-tcvae", $"Chen, Li, Grosse and Duvenaud, Isolating Sources of Disentanglement in VAEs, NeurIPS 2018; {SigmaVae}",
            IsVariational: true, Beta: 150) { WeighsTotalCorrelation = true },
        new("vae-gan", "Larsen, Sønderby, Larochelle and Winther, Autoencoding beyond Pixels using a Learned Similarity Metric, ICML " +
            "2016; R1: Mescheder, Geiger and Nowozin, Which Training Methods for GANs do actually Converge?, ICML 2018",
            IsVariational: true, Beta: 1) { IsAdversarial = true },
        new("gan", "Goodfellow et al., Generative Adversarial Nets, NeurIPS 2014; R1: Mescheder, Geiger and Nowozin, Which Training " +
            "Methods for GANs do actually Converge?, ICML 2018", IsVariational: false, Beta: 0) { OnlyDraws = true, IsAdversarial = true },
        new(Pix2Pix, "Isola, Zhu, Zhou and Efros, Image-to-Image Translation with Conditional Adversarial Networks, CVPR 2017",
            IsVariational: false, Beta: 0) { IsPaired = true, IsAdversarial = true },
        new("feature-ae", $"Hinton and Salakhutdinov, Reducing the Dimensionality of Data with Neural Networks, Science 2006; {Features}",
            IsVariational: false, Beta: 0) { IsOfFeatures = true },
        new("feature-vae", $"Kingma and Welling, Auto-Encoding Variational Bayes, ICLR 2014; {Features}", IsVariational: true,
            Beta: 1) { IsOfFeatures = true },
        new("feature-beta-vae",
            $"Higgins et al., beta-VAE: Learning Basic Visual Concepts with a Constrained Variational Framework, ICLR 2017; {Features}",
            IsVariational: true, Beta: 4) { IsOfFeatures = true },
    ];

    /// <summary>Whether it models what a frozen backbone says of the picture's cells, instead of pixels.</summary>
    public bool IsOfFeatures { get; init; }

    /// <summary>Whether pictures can be drawn of it, and frames not scored.</summary>
    public bool OnlyDraws { get; init; }

    /// <summary>Whether it learns from pairs of pictures and segmentation maps, and scores no frames.</summary>
    public bool IsPaired { get; init; }

    /// <summary>Whether it trains against a discriminator.</summary>
    public bool IsAdversarial { get; init; }

    /// <summary>Whether packages of it score frames, so that they are calibrated.</summary>
    public bool Scores => !OnlyDraws && !IsPaired;

    /// <summary>Whether β is the weight of the code's total correlation alone, and not of the whole divergence.</summary>
    public bool WeighsTotalCorrelation { get; init; }

    public static Architecture Named(string name) => All.FirstOrDefault(architecture => architecture.Name == name)
        ?? throw new TrainingException(
        $"--architecture {name}: expected {string.Join(", ", All.Select(architecture => architecture.Name))}");
}
