using Microsoft.EntityFrameworkCore;
using OutlierPipeline.Service.Alerts;

namespace OutlierPipeline.Service.Subscriptions;

/// <summary>What only one replica may do at a time: held for half a minute, and renewed while it is done.</summary>
internal sealed class Lease(string name, IDbContextFactory<AlertDatabase> databases, TimeProvider time) : IDisposable
{
    private static readonly TimeSpan Length = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Renewal = TimeSpan.FromSeconds(10);
    private readonly string _holder = Guid.NewGuid().ToString("n");
    private readonly SemaphoreSlim _asking = new(1);
    private DateTimeOffset _until;

    /// <summary>Takes or renews the lease where that is due; false if another replica holds it. Thread-safe.</summary>
    public async Task<bool> HoldAsync(CancellationToken cancellation)
    {
        await _asking.WaitAsync(cancellation);
        try
        {
            return await AskAsync(cancellation);
        }
        finally
        {
            _asking.Release();
        }
    }

    public void Dispose() => _asking.Dispose();

    private async Task<bool> AskAsync(CancellationToken cancellation)
    {
        var now = time.GetUtcNow();
        if (_until - now > Length - Renewal) return true;
        long milliseconds = now.ToUnixTimeMilliseconds();
        long until = (now + Length).ToUnixTimeMilliseconds();
        await using var database = await databases.CreateDbContextAsync(cancellation);
        bool isHeld = await database.Leases.Where(row =>
            row.Name == name && (row.Holder == _holder || row.UntilMilliseconds < milliseconds))
            .ExecuteUpdateAsync(set => set.SetProperty(row => row.Holder, _holder).SetProperty(row => row.UntilMilliseconds, until),
            cancellation) == 1;
        if (!isHeld && !await database.Leases.AnyAsync(row => row.Name == name, cancellation))
        {
            database.Leases.Add(new LeaseRow { Name = name, Holder = _holder, UntilMilliseconds = until });
            try
            {
                isHeld = await database.SaveChangesAsync(cancellation) == 1;
            }
            catch (DbUpdateException)
            {
                // Another replica was first.
            }
        }
        _until = isHeld ? now + Length : default;
        return isHeld;
    }

    /// <summary>Lets another replica have it at once.</summary>
    public async Task ReleaseAsync()
    {
        if (_until == default) return;
        await using var database = await databases.CreateDbContextAsync();
        await database.Leases.Where(row => row.Name == name && row.Holder == _holder).ExecuteDeleteAsync();
        _until = default;
    }
}
