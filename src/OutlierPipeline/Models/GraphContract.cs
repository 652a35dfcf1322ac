using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace OutlierPipeline.Models;

/// <summary>What a package's graph must have.</summary>
internal static class GraphContract
{
    /// <summary>The graph's file, for messages.</summary>
    public static string File(ModelPackage package) => Path.Combine(package.Path, "model.onnx");

    /// <summary>
    /// The names of scores that a graph says it has; null where it says nothing. Not by ONNX Runtime's own reader, which breaks at a zero
    /// in the name of another entry.
    /// </summary>
    /// <exception cref="ModelPackageException">The file cannot be read.</exception>
    public static string? ScoresOf(ReadOnlyMemory<byte> graph, string file)
    {
        try
        {
            return OnnxGraph.Parse(graph.ToArray()).Metadata("scores");
        }
        catch (InvalidDataException e)
        {
            throw new ModelPackageException(file, e.Message, e);
        }
    }

    /// <summary>Holds inputs, outputs and names of scores against the card.</summary>
    /// <exception cref="ModelPackageException">One of them is missing or another.</exception>
    public static void Check(InferenceSession session, ModelPackage package)
    {
        var network = package.Card.Network;
        int scores = package.Card.Scores.Count;
        Check(session.InputMetadata, "input", "image", TensorElementType.UInt8, -1, network.Height, network.Width, 3);
        // An input with a default: ones, so that whoever knows of no mask need not.
        Check(session.OverridableInitializerMetadata, "optional input", "mask", TensorElementType.UInt8, 1, network.Height, network.Width);
        Check(session.OutputMetadata, "output", "scores", TensorElementType.Float, -1, scores);
        Check(session.OutputMetadata, "output", "latent", TensorElementType.Float, -1, network.Latent);
        Check(session.OutputMetadata, "output", "error_map", TensorElementType.Float, -1, network.ErrorMapHeight, network.ErrorMapWidth);
        Check(session.OutputMetadata, "output", "reconstruction", TensorElementType.UInt8, -1, network.Height, network.Width, 3);
        if (package.Causes is { } causes)
            Check(session.OutputMetadata, "output", "profile", TensorElementType.Float, -1, causes.Profile);
        string? names = ScoresOf(package.Graph, File(package));
        if (names != string.Join(',', package.Card.Scores))
            throw new ModelPackageException(File(package),
                $"names the scores [{names}], model.json names [{string.Join(',', package.Card.Scores)}]");

        void Check(IReadOnlyDictionary<string, NodeMetadata> nodes, string kind, string name, TensorElementType type, params int[] shape)
        {
            string asks = name == "profile" ? CauseModel.FileName : "model.json";
            if (!nodes.TryGetValue(name, out var node))
                throw new ModelPackageException(File(package), $"has no {kind} {name}, {asks} asks for it");
            bool fits = node.IsTensor && node.ElementDataType == type && node.Dimensions.Length == shape.Length
                && node.Dimensions.Zip(shape).All(pair => pair.First == pair.Second || pair.First == -1);
            if (!fits) throw new ModelPackageException(File(package), $"{kind} {name} is {node.ElementDataType} " +
                $"[{string.Join(", ", node.Dimensions)}], {asks} asks for {type} [{string.Join(", ", shape)}]");
        }
    }
}
