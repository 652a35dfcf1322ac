using System.Diagnostics;
using System.Text.RegularExpressions;
using Microsoft.Playwright;
using OutlierPipeline.IntegrationTests.Support;
using static Microsoft.Playwright.Assertions;

namespace OutlierPipeline.IntegrationTests.Service;

/// <summary>The dashboard of the running demo, in a browser.</summary>
public sealed partial class DashboardTests
{
    [Fact]
    public async Task A_trouble_turns_the_wall_its_incident_shows_where_and_acknowledging_it_is_kept()
    {
        await using var browser = await Browser.StartAsync();
        using var demo = Demo.Start();
        var address = await demo.AddressAsync();
        var wall = await browser.OpenAsync(address);
        await wall.GotoAsync("/");
        await Expect(wall.Locator(".counter.normal strong")).ToHaveTextAsync("Ready");
        var camera = wall.Locator("[data-camera='car-2/front']");
        await Expect(camera).ToHaveAttributeAsync("data-state", "normal");
        await ShownAsync(camera.Locator("img"));
        // The keyboard reaches the cameras.
        string? focused = null;
        for (int i = 0; i < 40 && focused is null; i++)
        {
            await wall.Keyboard.PressAsync("Tab");
            focused = await wall.EvaluateAsync<string?>("document.activeElement.getAttribute('data-camera')");
        }
        Assert.NotNull(focused);
        // The script of the demo: an obstacle stands before car-2/front.
        await Expect(camera).ToHaveAttributeAsync("data-state", new Regex("warning|critical"));
        await Expect(camera.Locator(".state")).ToContainTextAsync("obstruction");
        await Browser.ShootAsync(wall, "wall");
        await Browser.AssertAccessibleAsync(wall);

        await camera.ClickAsync();
        await Expect(wall.Locator("h1")).ToHaveTextAsync("car-2/front");
        foreach (string picture in new[] { "frame", "reconstruction", "heatmap" })
            await ShownAsync(wall.Locator($".trio img[src*='{picture}']"));
        string? before = await wall.Locator(".trio img").First.GetAttributeAsync("src");
        await Expect(wall.Locator(".trio img").First).Not.ToHaveAttributeAsync("src", before!);
        await Expect(wall.Locator(".chart svg path").First).ToBeAttachedAsync();
        await Browser.ShootAsync(wall, "camera");
        await Browser.AssertAccessibleAsync(wall);
        await wall.GetByRole(AriaRole.Button, new() { Name = "heat map over frame" }).ClickAsync();
        await ShownAsync(wall.Locator(".stack img").Nth(1));

        await wall.Locator(".incidents tr:has-text('obstruction') a[href^='/incidents/']").First.ClickAsync();
        await Expect(wall.Locator("h1")).ToContainTextAsync("obstruction");
        await ShownAsync(wall.Locator(".picture img"));
        // The demo's obstacle stands right of the middle, on the road before the car; the picture's heat is there too.
        var place = StrangestPlace().Match(await wall.Locator("dl.table").First.InnerTextAsync());
        Assert.InRange(int.Parse(place.Groups[1].Value, System.Globalization.CultureInfo.InvariantCulture), 45, 90);
        Assert.InRange(int.Parse(place.Groups[2].Value, System.Globalization.CultureInfo.InvariantCulture), 45, 90);
        double[] heat = await wall.EvaluateAsync<double[]>(HottestOfHeatMap);
        Assert.InRange(heat[0], 0.4, 0.95);
        Assert.InRange(heat[1], 0.4, 0.95);
        await wall.GetByLabel("note").FillAsync("a crate on the road");
        await wall.GetByRole(AriaRole.Button, new() { Name = "Acknowledge" }).ClickAsync();
        await Expect(wall.Locator(".timeline").First).ToContainTextAsync("a crate on the road");
        await wall.ReloadAsync();
        await Expect(wall.GetByRole(AriaRole.Button, new() { Name = "Acknowledged by local" })).ToBeDisabledAsync();
        await Browser.ShootAsync(wall, "incident");
        await Browser.AssertAccessibleAsync(wall);

        foreach (var scheme in new[] { ColorScheme.Dark, ColorScheme.Light })
        {
            foreach (string path in new[] { "/", "/cameras/car-1/front", "/incidents", "/incidents?open=true&kind=frozen", "/system",
                "/sign-in" })
            {
                var page = await browser.OpenAsync(address, scheme, scheme == ColorScheme.Dark ? 1440 : 390, 844);
                await page.GotoAsync(path);
                await Expect(page.Locator("h1").First).ToBeAttachedAsync();
                if (path is "/" or "/cameras/car-1/front" or "/system")
                    await Expect(page.Locator(path == "/" ? ".card" : ".chart svg path").First).ToBeAttachedAsync();
                string name = path == "/" ? "wall" : Regex.Replace(path.Trim('/'), "[^a-z0-9]+", "-");
                await Browser.ShootAsync(page, $"{name}-{(scheme == ColorScheme.Dark ? "dark" : "phone")}");
                await Browser.AssertAccessibleAsync(page);
                // Nothing sticks out of a phone's screen.
                Assert.True(await page.EvaluateAsync<bool>("document.documentElement.scrollWidth <= window.innerWidth"),
                    $"{path} is wider than the screen");
                await page.Context.CloseAsync();
            }
        }
        Assert.True(browser.Complaints.Count == 0, string.Join(Environment.NewLine, browser.Complaints));
    }

    /// <summary>
    /// The share of width and height, in the right half of the incident's picture, of its most yellow and red place: the heat map's
    /// colours.
    /// </summary>
    private const string HottestOfHeatMap = """
        () => {
            const image = document.querySelector('.picture img'), canvas = document.createElement('canvas');
            canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
            const context = canvas.getContext('2d', { willReadFrequently: true }); context.drawImage(image, 0, 0);
            const half = Math.floor(canvas.width / 2), plain = context.getImageData(0, 0, half, canvas.height).data;
            const heat = context.getImageData(canvas.width - half, 0, half, canvas.height).data;
            let x = 0, y = 0, sum = 0;
            for (let i = 0; i < heat.length; i += 4) {
                const gain = Math.max(0, heat[i] - plain[i] - (heat[i + 2] - plain[i + 2]) - 60);
                x += gain * (i / 4 % half); y += gain * Math.floor(i / 4 / half); sum += gain;
            }
            return [x / sum / half, y / sum / canvas.height];
        }
        """;

    private static Task ShownAsync(ILocator image) => Expect(image).ToHaveJSPropertyAsync("complete", true).ContinueWith(async _ =>
    {
        for (int i = 0; i < 600 && await image.EvaluateAsync<int>("image => image.naturalWidth") == 0; i++) await Task.Delay(100);
        Assert.NotEqual(0, await image.EvaluateAsync<int>("image => image.naturalWidth"));
    }, TaskScheduler.Default).Unwrap();

    [GeneratedRegex(@"(\d+) % from the left, (\d+) % from the top")]
    private static partial Regex StrangestPlace();

    /// <summary>The demo in a process of its own.</summary>
    private sealed class Demo : IDisposable
    {
        private readonly Process _process;
        private readonly int _port;

        private Demo(Process process, int port) => (_process, _port) = (process, port);

        public static Demo Start()
        {
            int port = Ports.Free();
            var process = Tool.Start("dotnet", ["exec", Tool.Service, "demo", "--urls", $"http://127.0.0.1:{port}"]);
            process.OutputDataReceived += (_, _) => { };
            process.ErrorDataReceived += (_, _) => { };
            process.BeginOutputReadLine();
            process.BeginErrorReadLine();
            return new Demo(process, port);
        }

        public async Task<Uri> AddressAsync()
        {
            var address = new Uri($"http://127.0.0.1:{_port}/");
            using var http = new HttpClient { BaseAddress = address };
            for (int i = 0; i < 300; i++)
            {
                try
                {
                    if ((await http.GetAsync("/healthz/ready")).IsSuccessStatusCode) return address;
                }
                catch (HttpRequestException)
                {
                    // Not listening yet.
                }
                await Task.Delay(100);
            }
            throw new TimeoutException("the demo does not become ready");
        }

        public void Dispose()
        {
            _process.Kill(entireProcessTree: true);
            _process.Dispose();
        }
    }
}
