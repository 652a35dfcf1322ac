using Microsoft.Extensions.Configuration.EnvironmentVariables;

namespace OutlierPipeline.Service;

/// <summary>Finds sections of the configuration that nobody knows: most often typing errors, whose settings would be left at their defaults
/// without a word.</summary>
internal static class UnknownSettings
{
    private static readonly string[] Ours =
        ["Alerts", "Api", "Batching", "Detection", "Frames", "Inference", "Kafka", "Model", "Overload", "Webhooks"];

    /// <summary>What .NET's host, its server, its logging and OpenTelemetry read.</summary>
    private static readonly HashSet<string> Others = new(StringComparer.OrdinalIgnoreCase)
    {
        "$schema", "AllowedHosts", "applicationName", "captureStartupErrors", "ConnectionStrings", "contentRoot", "detailedErrors",
        "environment", "forwardedHeaders_Enabled", "hostBuilder", "hostingStartupAssemblies", "hostingStartupExcludeAssemblies",
        "http_ports", "https_port", "https_ports", "Kestrel", "Logging", "Metrics", "preferHostingUrls", "preventHostingStartup",
        "server.urls", "shutdownTimeoutSeconds", "startupAssembly", "staticWebAssets", "suppressStatusMessages", "urls", "webroot",
    };

    /// <exception cref="PipelineException">There is a section that nobody knows; the message names it and those that there are.</exception>
    public static void Refuse(IConfigurationRoot configuration)
    {
        foreach (var provider in configuration.Providers)
        {
            bool isEnvironment = provider is EnvironmentVariablesConfigurationProvider;
            foreach (string name in provider.GetChildKeys([], null).Distinct(StringComparer.OrdinalIgnoreCase))
            {
                if (Ours.Contains(name, StringComparer.OrdinalIgnoreCase) || Others.Contains(name)
                    || name.StartsWith("OTEL_", StringComparison.OrdinalIgnoreCase)) continue;
                // The environment is everybody's: there only what looks like a section of ours is one.
                if (isEnvironment && !(provider.GetChildKeys([], name).Any() && LooksLikeOurs(name))) continue;
                // A host's configuration within this one holds the environment too.
                if (provider is ChainedConfigurationProvider) continue;
                string? meant = Ours.FirstOrDefault(known => Distance(known, name) <= 2);
                string hint = meant is null ? "" : $" (is {meant} meant?)";
                throw new PipelineException($"configuration: nobody knows {name}{hint}; the sections are {string.Join(", ", Ours)}");
            }
        }
    }

    /// <summary>Other programs' variables with two underscores are written in one case: <c>npm__x</c>, <c>CI__JOB</c>.</summary>
    private static bool LooksLikeOurs(string name) =>
        name.Length > 0 && (char.IsAsciiLetterUpper(name[0]) && name.Any(char.IsAsciiLetterLower)
        || Ours.Any(known => known.Length > 3 && Distance(known, name) <= 2));

    /// <summary>How many letters must be changed, added or left out to make one word of another, whatever their case.</summary>
    /// <remarks>Levenshtein 1966.</remarks>
    private static int Distance(string one, string other)
    {
        int[] row = [.. Enumerable.Range(0, other.Length + 1)];
        for (int i = 1; i <= one.Length; i++)
        {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j <= other.Length; j++)
            {
                int change = diagonal + (char.ToUpperInvariant(one[i - 1]) == char.ToUpperInvariant(other[j - 1]) ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.Min(change, Math.Min(row[j], row[j - 1]) + 1);
            }
        }
        return row[^1];
    }
}
