using System.Data.Common;
using Microsoft.AspNetCore.Diagnostics;
using Npgsql;

namespace OutlierPipeline.Service.Alerts;

/// <summary>Tells what a database's exceptions mean: Entity Framework hides them in others, <see cref="InvalidOperationException"/> among
/// them.</summary>
internal sealed class DatabaseFault : IExceptionHandler
{
    /// <summary>The database's own exception, or null if it is no fault of it.</summary>
    public static DbException? Of(Exception? e)
    {
        for (; e is not null; e = e.InnerException)
        {
            if (e is DbException fault) return fault;
        }
        return null;
    }

    /// <summary>Whether the server could not be reached or is not ready, which passes; a name or a password that is wrong does
    /// not.</summary>
    public static bool IsOutage(Exception e) => Of(e) is NpgsqlException { IsTransient: true };

    /// <summary>Whether the database takes everything but this record: a character, a length or a key that it does not allow.</summary>
    public static bool IsOfTheRecord(Exception e) => Of(e) switch
    {
        // Data exception, integrity constraint, program limit.
        PostgresException postgres => postgres.SqlState[..2] is "22" or "23" or "54",
        // SQLITE_TOOBIG, SQLITE_CONSTRAINT, SQLITE_MISMATCH, SQLITE_RANGE.
        Microsoft.Data.Sqlite.SqliteException sqlite => sqlite.SqliteErrorCode is 18 or 19 or 20 or 25,
        _ => false,
    };

    /// <summary>A request that needs the database while it is away, or has a text that it does not take.</summary>
    public async ValueTask<bool> TryHandleAsync(HttpContext httpContext, Exception exception, CancellationToken cancellationToken)
    {
        if (Of(exception) is null) return false;
        if (IsOfTheRecord(exception)) await Results.Problem("the database of alerts does not take a text of this request",
            statusCode: StatusCodes.Status400BadRequest).ExecuteAsync(httpContext);
        else await Results.Problem("the database of alerts does not answer; see /healthz/ready",
            statusCode: StatusCodes.Status503ServiceUnavailable).ExecuteAsync(httpContext);
        return true;
    }
}
