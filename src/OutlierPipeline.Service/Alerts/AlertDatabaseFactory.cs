using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Design;

namespace OutlierPipeline.Service.Alerts;

/// <summary>
/// For <c>dotnet ef migrations add NAME</c>. One set of migrations serves both databases: take the column types out of what it writes (docs
/// in this project's README).
/// </summary>
internal sealed class AlertDatabaseFactory : IDesignTimeDbContextFactory<AlertDatabase>
{
    public AlertDatabase CreateDbContext(string[] args)
    {
        var builder = new DbContextOptionsBuilder<AlertDatabase>();
        AlertDatabase.Configure(builder, new AlertsOptions());
        return new AlertDatabase(builder.Options);
    }
}
