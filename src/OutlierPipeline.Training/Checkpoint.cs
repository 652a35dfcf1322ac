using System.Text;

namespace OutlierPipeline.Training;

/// <summary>
/// Where a run stands between two steps. Everything random is drawn from the seed and the number of the step, so this and the weights are
/// all
/// that going on exactly needs.
/// </summary>
internal sealed class Checkpoint
{
    private const string Magic = "OutlierPipeline checkpoint 1";

    public required string Fingerprint { get; init; }

    /// <summary>Steps done, of all epochs.</summary>
    public long Step { get; set; }

    /// <summary>Sums over the epoch so far.</summary>
    public double Error { get; set; }

    public double Kl { get; set; }

    /// <summary>The best epoch so far (0 before the first), and what was measured after it.</summary>
    public int BestEpoch { get; set; }

    public double BestLoss { get; set; } = double.PositiveInfinity;

    public EpochFigures BestFigures { get; set; }

    public Dictionary<string, float[]> BestWeights { get; set; } = [];

    /// <summary>Writes aside and renames: a run that is killed here leaves the checkpoint before.</summary>
    /// <param name="state">Writes weights and optimizer.</param>
    public void Save(string file, Action<BinaryWriter> state)
    {
        string aside = file + ".writing";
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        try
        {
            using (var stream = File.Create(aside))
            using (var writer = new BinaryWriter(stream, Encoding.UTF8))
            {
                writer.Write(Magic);
                writer.Write(Fingerprint);
                writer.Write(Step);
                writer.Write(Error);
                writer.Write(Kl);
                writer.Write(BestEpoch);
                writer.Write(BestLoss);
                writer.Write(BestFigures.TrainingError);
                writer.Write(BestFigures.TrainingKl);
                writer.Write(BestFigures.ValidationError);
                writer.Write(BestFigures.ValidationKl);
                Write(writer, BestWeights);
                state(writer);
            }
            File.Move(aside, file, overwrite: true);
        }
        catch
        {
            File.Delete(aside);
            throw;
        }
    }

    /// <exception cref="TrainingException">The file is no checkpoint, or one of another run.</exception>
    public static Checkpoint Load(string file, string fingerprint, Action<BinaryReader> state)
    {
        try
        {
            using var reader = new BinaryReader(File.OpenRead(file), Encoding.UTF8);
            if (reader.ReadString() != Magic)
                throw new TrainingException($"{file}: not a checkpoint of this version; without --resume the run starts again");
            string found = reader.ReadString();
            if (found != fingerprint) throw new TrainingException($"{file}: the checkpoint is of a run with other frames or settings " +
                $"({found}; now {fingerprint}): give the same options, or leave out --resume to start again");
            var checkpoint = new Checkpoint
            {
                Fingerprint = found,
                Step = reader.ReadInt64(),
                Error = reader.ReadDouble(),
                Kl = reader.ReadDouble(),
                BestEpoch = reader.ReadInt32(),
                BestLoss = reader.ReadDouble(),
                BestFigures = new EpochFigures(reader.ReadDouble(), reader.ReadDouble(), reader.ReadDouble(), reader.ReadDouble()),
                BestWeights = Read(reader),
            };
            state(reader);
            return checkpoint;
        }
        catch (Exception e) when (e is EndOfStreamException or ArgumentException or FormatException)
        {
            throw new TrainingException($"{file}: the checkpoint is damaged; without --resume the run starts again", e);
        }
    }

    public static void Write(BinaryWriter writer, Dictionary<string, float[]> weights)
    {
        writer.Write(weights.Count);
        foreach (var (name, values) in weights)
        {
            writer.Write(name);
            writer.Write(values.Length);
            writer.Write(System.Runtime.InteropServices.MemoryMarshal.AsBytes(values.AsSpan()));
        }
    }

    public static Dictionary<string, float[]> Read(BinaryReader reader)
    {
        var weights = new Dictionary<string, float[]>();
        for (int count = reader.ReadInt32(); count > 0; count--)
        {
            string name = reader.ReadString();
            float[] values = new float[reader.ReadInt32()];
            reader.BaseStream.ReadExactly(System.Runtime.InteropServices.MemoryMarshal.AsBytes(values.AsSpan()));
            weights[name] = values;
        }
        return weights;
    }
}

/// <summary>What one epoch came to.</summary>
/// <param name="TrainingError">Mean squared error of a pixel value, in the range of −0.5 to 0.5.</param>
/// <param name="TrainingKl">Nats a frame.</param>
/// <param name="ValidationError">The same, of the frames held back.</param>
public readonly record struct EpochFigures(double TrainingError, double TrainingKl, double ValidationError, double ValidationKl);
