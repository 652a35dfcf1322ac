using OutlierPipeline.Frames;
using OutlierPipeline.Models;

namespace OutlierPipeline.Training.Features;

/// <summary>
/// A small variational autoencoder of what a frozen backbone says of one cell of the picture, conditioned on the cell's place; it draws a
/// mean and a variance of every value. All cells of
/// all frames are its samples, so few frames are enough.
/// </summary>
/// <remarks>
/// Kingma and Welling, ICLR 2014; the place is a condition as in Sohn, Lee and Yan, Learning Structured Output Representation using Deep
/// Conditional Generative Models, NeurIPS 2015.
/// </remarks>
public sealed class FeatureNetwork
{
    /// <summary>Weight of the last product, which draws mean and variance; behind it are scores.</summary>
    public const string LastWeight = "draw.weight";

    /// <summary>Mean and deviation of every value over all training cells, <c>[C]</c>; they are measured, not trained.</summary>
    public const string Centre = "centre";

    /// <inheritdoc cref="Centre"/>
    public const string Spread = "spread";

    private const int Hidden = 128;
    private const int PlaceValues = 5;

    /// <param name="size">Height and width, multiples of 8.</param>
    /// <param name="channels">Values of a cell, C.</param>
    /// <param name="code">Dimensions of a cell's code, K.</param>
    /// <param name="isVariational">Whether the code is a distribution.</param>
    /// <exception cref="ArgumentException">A side is no multiple of 8, or the code has no dimension.</exception>
    public FeatureNetwork(FrameSize size, int channels, int code, bool isVariational)
    {
        if (size.Height % FrameMask.CellSide != 0 || size.Width % FrameMask.CellSide != 0 || size.Height < 32 || size.Width < 32)
            throw new ArgumentException(
                $"height and width must be multiples of {FrameMask.CellSide} and at least 32; they are {size.Height} and {size.Width}",
                nameof(size));
        if (code is < 1 or > 512)
            throw new ArgumentException($"the code of a cell must have 1 to 512 dimensions, not {code}", nameof(code));
        Size = size;
        Channels = channels;
        Code = code;
        IsVariational = isVariational;
    }

    public FrameSize Size { get; }

    public int Rows => Size.Height / FrameMask.CellSide;

    public int Columns => Size.Width / FrameMask.CellSide;

    /// <summary>Cells of a frame, h·w.</summary>
    public int Cells => Rows * Columns;

    public int Channels { get; }

    public int Code { get; }

    public bool IsVariational { get; }

    /// <summary>A size of the pictures' shape with this width.</summary>
    public static FrameSize SizeFor(int width, int pictureWidth, int pictureHeight)
    {
        int height = (int)Math.Round((double)width * pictureHeight / pictureWidth / FrameMask.CellSide) * FrameMask.CellSide;
        return new FrameSize(Math.Max(32, height), width);
    }

    /// <summary>Name, shape and fan-in of every trained weight; biases have a fan-in of 0.</summary>
    public IEnumerable<(string Name, long[] Shape, long FanIn)> Weights() =>
    [
        ("encode.weight", [Channels, Hidden], Channels), ("encode.place", [PlaceValues, Hidden], PlaceValues), ("encode.bias", [Hidden], 0),
        ("code.weight", [Hidden, IsVariational ? 2 * Code : Code], Hidden), ("code.bias", [IsVariational ? 2 * Code : Code], 0),
        ("decode.weight", [Code, Hidden], Code), ("decode.place", [PlaceValues, Hidden], PlaceValues), ("decode.bias", [Hidden], 0),
        (LastWeight, [Hidden, 2 * Channels], Hidden), ("draw.bias", [2 * Channels], 0),
    ];

    /// <summary>Multiplications and additions of one frame's cells, counted as two.</summary>
    public long FlopsPerFrame() => 2L * Cells * (Channels * Hidden + Hidden * Code + Code * Hidden + Hidden * 2 * Channels);

    /// <summary>Where the cells' centres are, <c>[h·w, 5]</c>: y, x, y², x² and xy from −1 to 1.</summary>
    public float[] Places()
    {
        float[] places = new float[Cells * PlaceValues];
        for (int cell = 0; cell < Cells; cell++)
        {
            float y = (2f * (cell / Columns) + 1) / Rows - 1;
            float x = (2f * (cell % Columns) + 1) / Columns - 1;
            ((ReadOnlySpan<float>)[y, x, y * y, x * x, x * y]).CopyTo(places.AsSpan(cell * PlaceValues));
        }
        return places;
    }

    /// <summary>Values of cells less their mean and over their deviation, <c>[R, C]</c>.</summary>
    public static T Standardise<T>(TensorOps<T> ops, T cells) => ops.Divide(ops.Subtract(cells, ops.Weight(Centre)), ops.Weight(Spread));

    /// <summary>Mean and log-variance of the codes of cells, <c>[R, K]</c> each; no log-variance where the code is a point.</summary>
    /// <param name="standardised"><c>[R, C]</c>.</param>
    /// <param name="place">What the place adds to the hidden layer, of <see cref="AtPlace{T}"/>, in a shape that <paramref name="add"/>
    /// takes.</param>
    /// <param name="add">Adds it to <c>[R, 128]</c>.</param>
    public (T Mean, T? LogVariance) Encode<T>(TensorOps<T> ops, T standardised, T place, Func<T, T, T> add)
    {
        var hidden = ops.LeakyRelu(add(ops.Dense(standardised, ops.Weight("encode.weight"), ops.Weight("encode.bias")), place));
        var code = ops.Dense(hidden, ops.Weight("code.weight"), ops.Weight("code.bias"));
        return IsVariational ? (ops.Slice(code, 0, Code), ops.Clip(ops.Slice(code, Code, Code), -8, 4)) : (code, default);
    }

    /// <summary>Mean and log-variance of what codes draw, <c>[R, C]</c> each.</summary>
    /// <inheritdoc cref="Encode{T}"/>
    public (T Mean, T LogVariance) Decode<T>(TensorOps<T> ops, T code, T place, Func<T, T, T> add)
    {
        var hidden = ops.LeakyRelu(add(ops.Dense(code, ops.Weight("decode.weight"), ops.Weight("decode.bias")), place));
        var drawn = ops.Dense(hidden, ops.Weight(LastWeight), ops.Weight("draw.bias"));
        return (ops.Slice(drawn, 0, Channels), ops.Clip(ops.Slice(drawn, Channels, Channels), -7, 3));
    }

    /// <summary>What places add to a hidden layer, <c>[R, 128]</c>.</summary>
    /// <param name="places"><c>[R, 5]</c>.</param>
    /// <param name="layer"><c>encode</c> or <c>decode</c>.</param>
    public static T AtPlace<T>(TensorOps<T> ops, T places, string layer) => ops.MatMul(places, ops.Weight(layer + ".place"));

    /// <summary>Codes and drawings of whole frames' cells.</summary>
    /// <param name="standardised"><c>[N·h·w, C]</c>.</param>
    public CellInputs<T> Inputs<T>(TensorOps<T> ops, T standardised, T counted)
    {
        var places = ops.Constant(Places(), Cells, PlaceValues);
        var (code, _) = Encode(ops, standardised, AtPlace(ops, places, "encode"), Add);
        var (mean, logVariance) = Decode(ops, code, AtPlace(ops, places, "decode"), Add);
        var error = ops.Subtract(standardised, mean);
        var residual = ops.Multiply(error, ops.Exp(ops.Multiply(logVariance, ops.Constant(-0.5))));
        var square = ops.Square(residual);
        // Products with ones and with the mask: on a GPU they sum many short rows faster than a reduction does.
        var ones = ops.Constant([.. Enumerable.Repeat(1f, Channels)], Channels, 1);
        var weights = ops.Reshape(counted, Rows, 1, Columns);
        return new CellInputs<T>(
            this,
            ops.Reshape(code, Cells, Code),
            ops.Reshape(ops.MatMul(ops.Square(error), ones), Cells),
            ops.Multiply(ops.Reshape(ops.MatMul(ops.Add(square, logVariance), ones), Cells), ops.Constant(0.5)),
            Sums(residual),
            Sums(square),
            counted);

        T Add(T hidden, T place) => AtEach(ops, hidden, place);

        T Sums(T rows) => ops.Reshape(ops.MatMul(weights, ops.Reshape(rows, Rows, Columns, Channels)), Rows, Channels);
    }

    /// <summary>Adds what the places add to the hidden layer of whole frames, <c>[N·h·w, 128]</c>.</summary>
    /// <param name="place"><c>[h·w, 128]</c>.</param>
    public T AtEach<T>(TensorOps<T> ops, T hidden, T place) =>
        ops.Reshape(ops.Add(ops.Reshape(hidden, Cells, Hidden), ops.Reshape(place, Cells, Hidden)), Hidden);

    /// <summary>1 for cells of which every pixel counts, else 0, <c>[N or 1, h·w]</c>.</summary>
    /// <param name="mask"><c>[N or 1, H, W]</c>, 0 or 1.</param>
    public T Counted<T>(TensorOps<T> ops, T mask)
    {
        const int Pixels = FrameMask.CellSide * FrameMask.CellSide;
        var counts = ops.SumLast(ops.ToFloat(ops.ToPatches(mask, Size, 1, FrameMask.CellSide)));
        return ops.Reshape(ops.Clip(ops.Subtract(counts, ops.Constant(Pixels - 1)), 0, 1), Cells);
    }
}
