using Microsoft.ML.OnnxRuntime;
using OutlierPipeline.Frames;
using OutlierPipeline.Models;

namespace OutlierPipeline.Inference;

/// <summary>
/// The second graph of a package on single pictures, on the CPU: for tools and for pages, which show its map and what it draws again. Not
/// thread-safe.
/// </summary>
public sealed class SecondScorer : IDisposable
{
    private static readonly string[] Wanted = ["scores"];
    private readonly InferenceSession _session;
    private readonly RunOptions _run = new();

    /// <param name="graph">The bytes of <see cref="SecondGraph.FileName"/>.</param>
    /// <param name="package">The package's directory, for messages.</param>
    /// <param name="threads">Of one run; 0 takes one a core.</param>
    /// <exception cref="ModelPackageException">ONNX Runtime does not load it, or it is not the graph that the card describes.</exception>
    public SecondScorer(ReadOnlyMemory<byte> graph, SecondCard card, string package, int threads = 0)
    {
        Card = card;
        _session = Open(graph, card, package, bytes =>
        {
            using var options = new SessionOptions
            {
                LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR,
                IntraOpNumThreads = threads,
            };
            // Threads that wait for work by spinning would take the cores from whoever decodes.
            options.AddSessionConfigEntry("session.intra_op.allow_spinning", "0");
            return new InferenceSession(bytes, options);
        });
    }

    public SecondCard Card { get; }

    /// <summary>Whether it draws pictures again.</summary>
    public bool Draws => _session.OutputMetadata.ContainsKey("picture");

    /// <summary>Scores of one picture, length S.</summary>
    /// <param name="pixels"><c>[H, W, 3]</c> uint8, RGB, of the model's size.</param>
    public float[] Score(byte[] pixels, FrameSize size) => Run(pixels, size, Wanted, outputs =>
        outputs[0].GetTensorDataAsSpan<float>().ToArray());

    /// <summary>The map of one picture, and what was drawn again of it.</summary>
    /// <returns>Indices of classes and their size; <c>[H', W', 3]</c> uint8, RGB, and its size, or nothing where it draws none.</returns>
    public (byte[] Map, FrameSize MapSize, byte[] Drawn, FrameSize DrawnSize) Show(byte[] pixels, FrameSize size) =>
        Run(pixels, size, Draws ? ["map", "picture"] : ["map"], outputs =>
        {
            var map = Sized(outputs[0]);
            var drawn = outputs.Count > 1 ? Sized(outputs[1]) : ([], default);
            return (map.Values, map.Size, drawn.Values, drawn.Size);
        });

    public void Dispose()
    {
        _run.Dispose();
        _session.Dispose();
    }

    /// <summary>Opens a second graph.</summary>
    /// <exception cref="ModelPackageException">ONNX Runtime does not load it, or it is not the graph that the card describes.</exception>
    internal static InferenceSession Open(ReadOnlyMemory<byte> graph, SecondCard card, string package,
        Func<byte[], InferenceSession> create)
    {
        string file = Path.Combine(package, SecondGraph.FileName);
        InferenceSession session;
        try
        {
            session = create(graph.ToArray());
        }
        catch (OnnxRuntimeException e)
        {
            throw new ModelPackageException(file, $"ONNX Runtime cannot load it: {e.Message.ReplaceLineEndings(" ")}", e);
        }
        string expected = string.Join(',', card.Scores);
        string? found;
        try
        {
            found = GraphContract.ScoresOf(graph, file);
        }
        catch (ModelPackageException)
        {
            session.Dispose();
            throw;
        }
        if (found == expected && session.InputMetadata.ContainsKey("image") && session.OutputMetadata.ContainsKey("scores")
            && session.OutputMetadata.ContainsKey("map")) return session;
        session.Dispose();
        throw new ModelPackageException(file, $"is no second graph with the scores [{expected}] that model.json names: it has [{found}]");
    }

    private static (byte[] Values, FrameSize Size) Sized(OrtValue value)
    {
        long[] shape = value.GetTensorTypeAndShape().Shape;
        return (value.GetTensorDataAsSpan<byte>().ToArray(), new FrameSize((int)shape[1], (int)shape[2]));
    }

    private T Run<T>(byte[] pixels, FrameSize size, string[] names, Func<IDisposableReadOnlyCollection<OrtValue>, T> read)
    {
        using var image = OrtValue.CreateTensorValueFromMemory(pixels, [1, size.Height, size.Width, 3]);
        using var outputs = _session.Run(_run, ["image"], [image], names);
        return read(outputs);
    }
}
