using OutlierPipeline.Alerts;
using OutlierPipeline.Detection;
using OutlierPipeline.Models;
using OutlierPipeline.Tests.Support;

namespace OutlierPipeline.Tests.Detection;

/// <summary>Evidence grows with strange frames, never falls below nothing, and calm is its counterpart.</summary>
public sealed class EvidenceTests
{
    private static readonly double Million = Math.Log(1e6);
    private static readonly ModelPackage Package = ModelPackage.Load(Repository.StreetDemo);
    private static readonly NetworkCard Network = Package.Card.Network;
    private readonly DetectorState _state = new() { Digest = "d" };
    private readonly Evidence _evidence;
    private long _offset;

    public EvidenceTests() => _evidence = new Evidence(_state, Million, Network,
        // With one test there is one kind of evidence.
        Package.Default.Calibration with { Onset = null });

    [Fact]
    public void Four_independent_frames_at_p_one_in_a_thousand_are_odds_of_a_million_and_three_are_not()
    {
        for (int i = 0; i < 3; i++) Add(0.001);
        Assert.False(_evidence.IsEnough);
        Add(0.001);
        Assert.True(_evidence.IsEnough);
        // ε·p^(ε−1) with ε = 0.1, four times.
        Assert.Equal(4 * Math.Log10(0.1 * Math.Pow(0.001, -0.9)), _evidence.Log10, 10);
    }

    [Fact]
    public void Frames_that_follow_at_once_count_for_the_time_between_them()
    {
        for (int i = 0; i < 8; i++) Add(0.001, seconds: 0.0625);
        Assert.Equal(4 * Math.Log10(0.1 * Math.Pow(0.001, -0.9)), _evidence.Log10, 10);
    }

    [Fact]
    public void Hours_of_calm_do_not_make_it_slow()
    {
        for (int i = 0; i < 36_000; i++) Add(0.9);
        Assert.Equal(0, _state.Evidence);
        Assert.Null(_state.EvidenceFrom);
        for (int i = 0; i < 4; i++) Add(0.001);
        Assert.True(_evidence.IsEnough);
        Assert.Equal(36_000, _state.EvidenceFrom!.Value.Offset);
    }

    [Fact]
    public void What_rests_on_the_tails_fit_alone_is_called_extrapolated()
    {
        for (int i = 0; i < 2; i++) Add(0.05, tail: 1e-9);
        Assert.True(_evidence.IsEnough);
        Assert.True(_evidence.IsExtrapolated);
        // However far the fit goes, one frame bets on no less than 1e-6.
        Assert.Equal(2 * Math.Log10(0.1 * Math.Pow(1e-6, -0.9)), _evidence.Log10, 10);
        for (int i = 0; i < 20; i++) Add(0.001);
        Assert.False(_evidence.IsExtrapolated);
    }

    [Fact]
    public void Calm_takes_as_much_evidence_as_trouble_does()
    {
        for (int i = 0; i < 8; i++) Add(0.001);
        Assert.False(_evidence.LeansToCalm(null));
        int frames = 0;
        while (!_evidence.IsCalm(null))
        {
            Add(0.9);
            frames++;
        }
        Assert.Equal((int)Math.Ceiling(Million / -Martingale.Bet(0.9)), frames);
        _evidence.DenyCalm();
        Assert.False(_evidence.IsCalm(null));
    }

    [Fact]
    public void A_place_stays_when_three_strange_frames_in_a_row_show_it()
    {
        int columns = Network.ErrorMapWidth;
        Add(0.001, cell: 2 * columns + 3);
        Add(0.001, cell: 2 * columns + 4);
        Assert.False(_evidence.StaysInPlace);
        Add(0.001, cell: 3 * columns + 4);
        Assert.True(_evidence.StaysInPlace);
        Add(0.001, cell: 0);
        Assert.False(_evidence.StaysInPlace);
    }

    [Fact]
    public void Forgotten_evidence_leaves_nothing()
    {
        for (int i = 0; i < 9; i++) Add(0.001);
        _evidence.Forget();
        Assert.Equal(0, _evidence.Log10);
        Assert.True(_evidence.IsExtrapolated);
        Assert.False(_evidence.LeansToCalm(null));
        Assert.Null(_state.EvidenceFrom);
    }

    private void Add(double p, double? tail = null, double seconds = 1, int cell = 0)
    {
        float[] map = new float[Network.ErrorMapHeight * Network.ErrorMapWidth];
        map[cell] = 1;
        _evidence.Add(p, tail, null, seconds, new FrameRef("camera.frames", 0, _offset++, 0), map);
    }
}
