namespace OutlierPipeline.Detection;

/// <summary>The same as <see cref="DetectorState"/>, to be changed frame by frame without an allocation.</summary>
internal struct DetectorStateFields
{
    public long NextOffset;
    public long Timestamp;
    public long Produced;
    public long Clock;
    public long WrittenSeconds;
    public double Evidence;
    public double Calm;
    public FrameRef? EvidenceFrom;
    public ulong Picture;
    public FrameRef? PictureFrom;
    public int PictureFrames;
    public int Undecodable;
    public FrameRef? UndecodableFrom;
    public int Cell;
    public int CellFrames;
    public bool WasCalm;
    public double Guaranteed;
    public bool Once;
    public double DriftMean;
    public double DriftSeconds;
    public OpenIncident? Incident;

    public DetectorStateFields(DetectorState state)
    {
        NextOffset = state.NextOffset;
        Timestamp = state.Timestamp;
        Produced = state.Produced;
        Clock = state.Clock;
        WrittenSeconds = state.WrittenSeconds;
        Evidence = state.Evidence;
        Calm = state.Calm;
        EvidenceFrom = state.EvidenceFrom;
        Picture = state.Picture;
        PictureFrom = state.PictureFrom;
        PictureFrames = state.PictureFrames;
        Undecodable = state.Undecodable;
        UndecodableFrom = state.UndecodableFrom;
        Cell = state.Cell;
        CellFrames = state.CellFrames;
        WasCalm = state.WasCalm;
        Guaranteed = state.Guaranteed;
        Once = state.Once;
        DriftMean = state.DriftMean;
        DriftSeconds = state.DriftSeconds;
        Incident = state.Incident;
    }

    public readonly DetectorState ToRecord(string digest) => new()
    {
        Digest = digest,
        NextOffset = NextOffset,
        Timestamp = Timestamp,
        Produced = Produced,
        Clock = Clock,
        WrittenSeconds = WrittenSeconds,
        Evidence = Evidence,
        Calm = Calm,
        EvidenceFrom = EvidenceFrom,
        Picture = Picture,
        PictureFrom = PictureFrom,
        PictureFrames = PictureFrames,
        Undecodable = Undecodable,
        UndecodableFrom = UndecodableFrom,
        Cell = Cell,
        CellFrames = CellFrames,
        WasCalm = WasCalm,
        Guaranteed = Guaranteed,
        Once = Once,
        DriftMean = DriftMean,
        DriftSeconds = DriftSeconds,
        Incident = Incident,
    };
}
