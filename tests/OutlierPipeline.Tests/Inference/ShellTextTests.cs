using System.Diagnostics;
using OutlierPipeline.Models;
using OutlierPipeline.Tests.Support;

namespace OutlierPipeline.Tests.Inference;

public sealed class ShellTextTests
{
    [Theory]
    [InlineData("plain/path-1.png")]
    [InlineData("drive[70%..85%]")]
    [InlineData("two words")]
    [InlineData("it's")]
    [InlineData("$HOME `id` \\ \"x\" #no {a,b} !!")]
    [InlineData("")]
    public void A_shell_reads_the_arguments_that_were_given(string argument)
    {
        Repository.Needs("sh");
        var start = new ProcessStartInfo("sh") { RedirectStandardOutput = true };
        start.ArgumentList.Add("-c");
        start.ArgumentList.Add("printf '<%s>' " + ShellText.Join(["first", argument, "last"]));
        using var shell = Process.Start(start)!;
        Assert.Equal($"<first><{argument}><last>", shell.StandardOutput.ReadToEnd());
        shell.WaitForExit();
    }
}
