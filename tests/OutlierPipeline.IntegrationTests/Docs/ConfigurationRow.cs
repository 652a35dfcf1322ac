namespace OutlierPipeline.IntegrationTests.Docs;

/// <summary>One setting as a reader sees it; everything but the key is Markdown.</summary>
internal sealed record ConfigurationRow(string Section, string Key, string Type, string Default, string Description)
{
    public string ToMarkdown() => $"| `{Key}` | {Type} | {Escape(Default)} | {Escape(Description)} |";

    private static string Escape(string text) => text.Replace("|", "\\|", StringComparison.Ordinal);
}
