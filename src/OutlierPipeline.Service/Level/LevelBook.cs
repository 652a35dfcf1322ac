using System.Buffers.Binary;
using Microsoft.EntityFrameworkCore;
using OutlierPipeline.Detection;
using OutlierPipeline.Service.Alerts;

namespace OutlierPipeline.Service.Level;

/// <summary>Normal drives and the calibrations made of them, in the database that all replicas share.</summary>
internal sealed class LevelBook(IDbContextFactory<AlertDatabase> databases, TimeProvider time)
{
    /// <summary>Keeps a drive, unless there are enough: of its hour, or in all.</summary>
    public async Task AddAsync(string package, NormalDrive drive, CancellationToken cancellation)
    {
        await using var database = await databases.CreateDbContextAsync(cancellation);
        long hour = DeploymentFit.HourOf(drive.FromNanoseconds);
        long length = (long)TimeSpan.FromHours(1).TotalNanoseconds;
        var rows = database.NormalDrives.Where(row => row.Package == package);
        if (await rows.CountAsync(cancellation) >= DeploymentFit.MaxDrives
            || await rows.CountAsync(row => row.FromNanoseconds >= hour * length && row.FromNanoseconds < (hour + 1) * length, cancellation)
                >= DeploymentFit.MaxOfHour
            // What is played again is no other drive.
            || await rows.AnyAsync(row => row.Camera == drive.Camera && row.FromNanoseconds <= drive.ToNanoseconds
                && row.ToNanoseconds >= drive.FromNanoseconds, cancellation)) return;
        database.NormalDrives.Add(new NormalDriveRow
        {
            Package = package,
            Camera = drive.Camera,
            FromNanoseconds = drive.FromNanoseconds,
            ToNanoseconds = drive.ToNanoseconds,
            StepSeconds = drive.StepSeconds,
            Frames = drive.Rows.Length,
            Scores = Bytes(drive.Rows),
        });
        await database.SaveChangesAsync(cancellation);
    }

    public async Task<int> CountAsync(string package, CancellationToken cancellation)
    {
        await using var database = await databases.CreateDbContextAsync(cancellation);
        return await database.NormalDrives.CountAsync(row => row.Package == package, cancellation);
    }

    public async Task<IReadOnlyList<NormalDrive>> DrivesAsync(string package, CancellationToken cancellation)
    {
        await using var database = await databases.CreateDbContextAsync(cancellation);
        var rows = await database.NormalDrives.AsNoTracking().Where(row => row.Package == package)
            .OrderBy(row => row.FromNanoseconds).ThenBy(row => row.Camera).ToListAsync(cancellation);
        return [.. rows.Select(row => new NormalDrive(row.Camera, row.FromNanoseconds, row.ToNanoseconds, row.StepSeconds,
            Rows(row.Scores, row.Frames)))];
    }

    /// <summary>The calibration of the most drives, taken over or not; null where there is none.</summary>
    public async Task<LevelCalibrationRow?> LatestAsync(string package, bool isTaken, CancellationToken cancellation)
    {
        await using var database = await databases.CreateDbContextAsync(cancellation);
        return await database.LevelCalibrations.AsNoTracking()
            .Where(row => row.Package == package && (!isTaken || row.TakenMilliseconds != null))
            .OrderByDescending(row => row.Drives).FirstOrDefaultAsync(cancellation);
    }

    public async Task ProposeAsync(LevelCalibrationRow row, CancellationToken cancellation)
    {
        await using var database = await databases.CreateDbContextAsync(cancellation);
        await database.LevelCalibrations.Where(old => old.Package == row.Package && old.TakenMilliseconds == null)
            .ExecuteDeleteAsync(cancellation);
        database.LevelCalibrations.Add(row);
        await database.SaveChangesAsync(cancellation);
    }

    /// <returns>False where there is nothing to be taken over.</returns>
    public async Task<bool> TakeOverAsync(string package, int drives, string who, CancellationToken cancellation)
    {
        await using var database = await databases.CreateDbContextAsync(cancellation);
        long now = time.GetUtcNow().ToUnixTimeMilliseconds();
        return await database.LevelCalibrations.Where(row => row.Package == package && row.Drives == drives
            && row.TakenMilliseconds == null).ExecuteUpdateAsync(set => set.SetProperty(row => row.TakenMilliseconds, now)
                .SetProperty(row => row.TakenBy, who), cancellation) == 1;
    }

    private static byte[] Bytes(float[][] rows)
    {
        float[] all = [.. rows.SelectMany(row => row)];
        byte[] bytes = new byte[4 * all.Length];
        for (int i = 0; i < all.Length; i++) BinaryPrimitives.WriteSingleLittleEndian(bytes.AsSpan(4 * i), all[i]);
        return bytes;
    }

    private static float[][] Rows(byte[] bytes, int frames)
    {
        int width = bytes.Length / 4 / frames;
        return [.. Enumerable.Range(0, frames).Select(i => Enumerable.Range(i * width, width)
            .Select(k => BinaryPrimitives.ReadSingleLittleEndian(bytes.AsSpan(4 * k))).ToArray())];
    }
}
