using Microsoft.EntityFrameworkCore;
using OutlierPipeline.Service.Level;
using OutlierPipeline.Service.Subscriptions;

namespace OutlierPipeline.Service.Alerts;

/// <summary>
/// What became of the alerts: a copy of <c>ood.alerts</c>, which is the truth of what happened, and what people and subscriptions did about
/// it, of which this is the truth.
/// Times are Unix milliseconds or nanoseconds, since SQLite compares no others.
/// </summary>
internal sealed class AlertDatabase(DbContextOptions<AlertDatabase> options) : DbContext(options)
{
    public DbSet<AlertRow> Alerts => Set<AlertRow>();

    public DbSet<IncidentRow> Incidents => Set<IncidentRow>();

    public DbSet<PictureRow> Pictures => Set<PictureRow>();

    public DbSet<ActionRow> Actions => Set<ActionRow>();

    public DbSet<MuteRow> Mutes => Set<MuteRow>();

    public DbSet<PositionRow> Positions => Set<PositionRow>();

    public DbSet<SubscriptionRow> Subscriptions => Set<SubscriptionRow>();

    public DbSet<DeliveryRow> Deliveries => Set<DeliveryRow>();

    public DbSet<LeaseRow> Leases => Set<LeaseRow>();

    public DbSet<NormalDriveRow> NormalDrives => Set<NormalDriveRow>();

    public DbSet<LevelCalibrationRow> LevelCalibrations => Set<LevelCalibrationRow>();

    /// <summary>Options for the database that is configured.</summary>
    public static void Configure(DbContextOptionsBuilder builder, AlertsOptions options)
    {
        if (options.IsPostgreSql) builder.UseNpgsql(options.Database);
        else builder.UseSqlite(new Microsoft.Data.Sqlite.SqliteConnectionStringBuilder
        {
            DataSource = options.Database,
            DefaultTimeout = 30
        }.ToString());
    }

    protected override void OnModelCreating(ModelBuilder model)
    {
        // One set of migrations serves both databases, so nothing here may name a column's type.
        model.Entity<AlertRow>(alert =>
        {
            alert.HasKey(row => new { row.Cluster, row.Topic, row.Partition, row.Offset });
            alert.HasIndex(row => row.EventId).IsUnique();
            alert.HasIndex(row => row.Incident);
            alert.Property(row => row.Kind).HasConversion<string>();
            alert.Property(row => row.Severity).HasConversion<string>();
        });
        model.Entity<IncidentRow>(incident =>
        {
            incident.HasKey(row => row.Id);
            incident.HasIndex(row => new { row.OpenedNanoseconds, row.Id });
            incident.HasIndex(row => row.Camera);
            incident.HasIndex(row => row.ClosedNanoseconds);
            incident.Property(row => row.Kind).HasConversion<string>();
            // Filters ask for "at least", so severities are kept as numbers.
            incident.Property(row => row.Severity).HasConversion<int>();
        });
        model.Entity<PictureRow>(picture =>
        {
            picture.HasKey(row => row.Incident);
            picture.HasIndex(row => row.RecordedMilliseconds);
        });
        model.Entity<ActionRow>(action =>
        {
            action.HasKey(row => row.Id);
            action.HasIndex(row => row.Incident);
        });
        model.Entity<MuteRow>().HasKey(row => row.Id);
        model.Entity<PositionRow>().HasKey(row => new { row.Cluster, row.Topic, row.Partition });
        model.Entity<SubscriptionRow>(subscription =>
        {
            subscription.HasKey(row => row.Id);
            subscription.Property(row => row.MinSeverity).HasConversion<int>();
        });
        model.Entity<DeliveryRow>(delivery =>
        {
            delivery.HasKey(row => new { row.Subscription, row.EventId });
            delivery.HasIndex(row => new { row.State, row.NextMilliseconds });
            delivery.HasIndex(row => new { row.Subscription, row.Incident });
            delivery.Property(row => row.State).HasConversion<string>();
        });
        model.Entity<NormalDriveRow>().HasKey(row => new { row.Package, row.Camera, row.FromNanoseconds });
        model.Entity<LevelCalibrationRow>().HasKey(row => new { row.Package, row.Drives });
        model.Entity<LeaseRow>().HasKey(row => row.Name);
    }
}
