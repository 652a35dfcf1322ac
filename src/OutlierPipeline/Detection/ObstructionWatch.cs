using OutlierPipeline.Alerts;
using OutlierPipeline.Frames;
using OutlierPipeline.Models;

namespace OutlierPipeline.Detection;

/// <summary>A spot that stays.</summary>
/// <param name="From">The first frame of the window that shows it.</param>
internal readonly record struct Spot(PictureRegion Where, FrameRef From);

/// <summary>
/// Watches one camera for what covers a place of the picture while the rest moves: dirt, a drop, a crack, a sticker, dead pixels. Compares
/// windows of frames with the camera's own earlier ones, so it finds what has come and not what was there from the start; learns nothing
/// while the car stands. Its maps are not kept over a restart, an open incident's place is. Not thread-safe.
/// </summary>
internal sealed class ObstructionWatch(FrameSize size, FrameMask? mask, DetectorState state)
{
    /// <summary>Frames that follow one another faster say the same again.</summary>
    private const double MinStep = 0.19;

    /// <summary>A place that is no stiller than this against its surroundings is free again; one that is covered has 3 and more.</summary>
    private const float Free = 1;

    /// <summary>So many windows in a row must say so.</summary>
    private const int FreeAfter = 3;

    /// <summary>What the judges need is shared by all cameras of a thread: it holds nothing from frame to frame.</summary>
    [ThreadStatic]
    private static Bench? _bench;

    private PictureHistory? _history;
    private double _since = MinStep;
    private int _free;

    /// <summary>What is there now.</summary>
    public Spot? Found { get; private set; }

    /// <summary>Whether something is there, known since before a restart perhaps.</summary>
    public bool IsPresent => Known is not null;

    /// <summary>Looks at one frame.</summary>
    /// <param name="pixels"><c>[H, W, 3]</c> uint8, RGB; of another length where nobody has them.</param>
    /// <param name="errorMap"><c>[h, w]</c>, what the model finds strange in each of its cells; empty where nobody knows.</param>
    /// <param name="seconds">Since the frame before.</param>
    public void Add(ReadOnlySpan<byte> pixels, ReadOnlySpan<float> errorMap, double seconds, FrameRef frame)
    {
        _since += seconds;
        if (pixels.Length != size.Bytes || _since < MinStep) return;
        _history ??= new PictureHistory(size, mask);
        if (_history.Add(pixels, errorMap, frame) is not { } window) return;
        _since = 0;
        if (window.Count == PictureHistory.Window) Judge(_history, window);
    }

    /// <summary>The next frame does not follow on the last; what the camera showed before stays known, and so does an open incident's
    /// place.</summary>
    public void Break()
    {
        _history?.Break();
        (Found, _free) = (null, 0);
    }

    /// <summary>The incident goes on without it: what is there then is told as new, and of a frame that began no other incident.</summary>
    public void TellAgain(FrameRef frame) => Found = Known is { } where ? new Spot(where, frame) : null;

    /// <summary>The drive is over: whoever drives on may have wiped the pane.</summary>
    public void ForgetPlace() => state.Spot = null;

    private PictureRegion? Known => state.Spot is [var x, var y, var width, var height]
        ? new PictureRegion(x / 255.0, y / 255.0, width / 255.0, height / 255.0)
        : null;

    private static byte Share(double share) => (byte)Math.Round(255 * Math.Clamp(share, 0, 1));

    private void Judge(PictureHistory history, CellWindow window)
    {
        var bench = _bench is { } known && known.Fits(history) ? known : _bench = new Bench(history);
        window.Read(bench.Now);
        bool knowsBefore = history.ReadBefore(bench.Before, Known);
        if (Known is { } where)
        {
            float? stillness = bench.Stillness(where);
            if (stillness is { } value) _free = value < Free ? _free + 1 : 0;
            if (_free >= FreeAfter) (Found, state.Spot, _free) = (null, null, 0);
        }
        else if (knowsBefore && bench.Find(history) is { } found)
        {
            state.Spot = [Share(found.X), Share(found.Y), Share(found.Width), Share(found.Height)];
            Found = new Spot(found, window.Begin);
        }
        history.Keep(bench.Now);
        window.Clear();
    }

    /// <summary>Room to judge in: maps as they are and at half their size, where spots of twice the size are found.</summary>
    private sealed class Bench
    {
        private readonly int _columns;
        private readonly int _rows;
        private readonly SpotFinder _fine;
        private readonly SpotFinder _coarse;
        private readonly CellMaps _coarseNow;
        private readonly CellMaps _coarseBefore;

        public Bench(PictureHistory history)
        {
            (_columns, _rows) = (history.Columns, history.Rows);
            int cells = _columns * _rows;
            var (errorColumns, errorRows) = (history.ErrorColumns, history.ErrorRows);
            float[] errorsNow = new float[errorColumns * errorRows], errorsBefore = new float[errorColumns * errorRows];
            (Now, Before) = (CellMaps.Of(cells, errorsNow), CellMaps.Of(cells, errorsBefore));
            _fine = new SpotFinder(_columns, _rows, errorColumns, errorRows);
            _coarse = new SpotFinder(_columns / 2, _rows / 2, errorColumns, errorRows);
            int coarse = _columns / 2 * (_rows / 2);
            (_coarseNow, _coarseBefore) = (CellMaps.Of(coarse, errorsNow), CellMaps.Of(coarse, errorsBefore));
        }

        public CellMaps Now { get; }

        public CellMaps Before { get; }

        public bool Fits(PictureHistory history) => history.Columns == _columns && history.Rows == _rows;

        public PictureRegion? Find(PictureHistory history)
        {
            Halve(Now, _coarseNow);
            Halve(Before, _coarseBefore);
            var fine = _fine.Find(Now, Before, history.Counts);
            var coarse = _coarse.Find(_coarseNow, _coarseBefore, history.CoarseCounts);
            return coarse is { } large && !(fine is { } small && small.Score >= large.Score) ? large.Where : fine?.Where;
        }

        public float? Stillness(PictureRegion where)
        {
            Halve(Now, _coarseNow);
            float? fine = _fine.Stillness(Now, where), coarse = _coarse.Stillness(_coarseNow, where);
            return fine is { } a && coarse is { } b ? Math.Max(a, b) : fine ?? coarse;
        }

        private void Halve(in CellMaps from, in CellMaps to)
        {
            for (int c = 0; c < 3; c++) Halve(from.Means, to.Means, c);
            Halve(from.Spreads, to.Spreads, 0);
            Halve(from.Changes, to.Changes, 0);
        }

        private void Halve(float[] from, float[] to, int plane)
        {
            var (columns, rows) = (_columns / 2, _rows / 2);
            for (int y = 0; y < rows; y++)
            {
                for (int x = 0; x < columns; x++)
                {
                    int at = plane * _columns * _rows + 2 * y * _columns + 2 * x;
                    to[plane * columns * rows + y * columns + x] =
                        (from[at] + from[at + 1] + from[at + _columns] + from[at + _columns + 1]) / 4;
                }
            }
        }
    }
}
