namespace OutlierPipeline.Evaluation;

/// <summary>Something that scores frames one by one, higher for stranger: a package, or a detector of the literature.</summary>
/// <param name="Columns">Names of its scores.</param>
/// <param name="Score">From a number of frames and what reads them to a row of scores a frame.</param>
public sealed record FrameDetector(IReadOnlyList<string> Columns, Func<int, FootageScorer.Fill, CancellationToken, double[][]> Score)
{
    /// <summary>The column of a package's combined score.</summary>
    public const string Combined = "combined";

    /// <summary>A package: its combined score, then each score on its own.</summary>
    public static FrameDetector Of(FootageScorer scorer)
    {
        var model = scorer.Package.Default;
        return new FrameDetector([Combined, .. scorer.Package.Card.Scores], (count, fill, cancellation) =>
        {
            double[][] rows = new double[count][];
            scorer.Score(count, fill, model.Mask, (i, batch, slot) =>
            {
                var scores = batch.Scores(slot);
                double[] row = new double[1 + scores.Length];
                row[0] = model.Calibration.Combine(scores);
                for (int k = 0; k < scores.Length; k++) row[k + 1] = scores[k];
                rows[i] = row;
            }, cancellation);
            return rows;
        });
    }

    /// <summary>A detector with one score, in batches of frames.</summary>
    /// <param name="bytes">Of a frame.</param>
    public static FrameDetector Of(string name, int bytes, int batch, Func<byte[][], double[]> score) =>
        new([name], (count, fill, cancellation) => [.. Enumerable.Range(0, count).Chunk(batch).SelectMany(chunk =>
        {
            cancellation.ThrowIfCancellationRequested();
            byte[][] frames = [.. chunk.Select(i =>
            {
                byte[] frame = new byte[bytes];
                fill(i, frame);
                return frame;
            })];
            return score(frames);
        }).Select(value => new[] { value })]);
}
