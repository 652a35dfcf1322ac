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
    private static readonly string[] Shown = ["map", "picture", "error_map", "class_map"];
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

    /// <summary>What the second graph makes of one picture.</summary>
    /// <param name="pixels"><c>[H, W, 3]</c> uint8, RGB.</param>
    public SecondView Show(byte[] pixels, FrameSize size)
    {
        string[] names = [.. Shown.Where(_session.OutputMetadata.ContainsKey)];
        return Run(pixels, size, names, outputs =>
        {
            var found = names.Zip(outputs).ToDictionary(output => output.First, output => output.Second);
            var (map, mapSize) = Sized<byte>(found, "map");
            var (drawn, drawnSize) = Sized<byte>(found, "picture");
            var (errors, cells) = Sized<float>(found, "error_map");
            var (unlike, places) = Sized<float>(found, "class_map");
            return new SecondView(map, mapSize, drawn, drawnSize, drawn.Length > 0 ? errors : [], cells,
                unlike, places);
        });
    }

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

    private static (T[] Values, FrameSize Size) Sized<T>(Dictionary<string, OrtValue> found, string name)
        where T : unmanaged
    {
        if (!found.TryGetValue(name, out var value)) return ([], default);
        long[] shape = value.GetTensorTypeAndShape().Shape;
        return (value.GetTensorDataAsSpan<T>().ToArray(), new FrameSize((int)shape[1], (int)shape[2]));
    }

    private T Run<T>(byte[] pixels, FrameSize size, string[] names, Func<IDisposableReadOnlyCollection<OrtValue>, T> read)
    {
        using var image = OrtValue.CreateTensorValueFromMemory(pixels, [1, size.Height, size.Width, 3]);
        using var outputs = _session.Run(_run, ["image"], [image], names);
        return read(outputs);
    }
}
