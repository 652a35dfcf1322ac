using Microsoft.Extensions.Configuration;
using OutlierPipeline.Service;

namespace OutlierPipeline.IntegrationTests.Docs;

public sealed class ConfigurationPageTests
{
    private static readonly string Page = Path.Combine(Repository.Root, "docs", "configuration.md");

    /// <summary>With <c>OUTLIER_WRITE_DOCS=1</c> in the environment the page is written first.</summary>
    [Fact]
    public void The_Configuration_page_says_what_the_option_classes_say()
    {
        string written = ConfigurationPage.Write();
        if (Environment.GetEnvironmentVariable("OUTLIER_WRITE_DOCS") == "1") File.WriteAllText(Page, written);
        Assert.True(
            written == File.ReadAllText(Page),
            "docs/configuration.md is out of date; write it again: OUTLIER_WRITE_DOCS=1 ./test.sh '*Configuration_page*'");
    }

    [Fact]
    public void The_Configuration_page_explains_every_setting_once()
    {
        Assert.All(
            ConfigurationPage.Rows,
            row => Assert.True(row.Description.EndsWith('.'), $"{row.Key} needs a sentence, and has '{row.Description}'"));
        Assert.Equal(ConfigurationPage.Rows.Count, ConfigurationPage.Rows.Select(row => row.Key).Distinct().Count());
    }

    [Fact]
    public void What_the_Configuration_page_adds_by_hand_is_about_settings_that_exist() =>
        Assert.All(ConfigurationPage.WrittenByHand, key => Assert.Contains(ConfigurationPage.Rows, row => row.Key == key));

    [Fact]
    public void The_Configuration_page_has_every_section_that_the_service_knows()
    {
        var settings = new ConfigurationBuilder().AddInMemoryCollection([new("Nonsense:Key", "1")]).Build();
        var fault = Assert.Throws<PipelineException>(() => UnknownSettings.Refuse(settings));
        string[] known = fault.Message.Split("the sections are ")[1].Split(", ");
        Assert.Equal(known.Order(), ConfigurationPage.Rows.Select(row => row.Section).Distinct().Order());
    }
}
