using System.Text.Json;

namespace OutlierPipeline.IntegrationTests.Support;

/// <summary>Reads server-sent events.</summary>
internal sealed class StreamClient : IDisposable
{
    private readonly HttpResponseMessage _response;
    private readonly StreamReader _reader;

    private StreamClient(HttpResponseMessage response, StreamReader reader)
    {
        _response = response;
        _reader = reader;
    }

    /// <summary>The id of the last block read.</summary>
    public string? LastEventId { get; private set; }

    /// <exception cref="HttpRequestException">The stream was refused.</exception>
    public static async Task<StreamClient> OpenAsync(HttpClient http, string? lastEventId = null, string query = "")
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"/api/alerts/stream{query}");
        if (lastEventId is not null) request.Headers.TryAddWithoutValidation("Last-Event-ID", lastEventId);
        var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken);
        if (!response.IsSuccessStatusCode)
            throw new HttpRequestException(await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), null,
                response.StatusCode);
        var client = new StreamClient(response,
            new StreamReader(await response.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken)));
        // The first block tells where the listener stands.
        await client.BlockAsync(TestContext.Current.CancellationToken);
        return client;
    }

    /// <summary>The next event; null at the stream's end.</summary>
    public async Task<JsonElement?> NextAsync(CancellationToken cancellation)
    {
        while (await BlockAsync(cancellation) is { } block)
        {
            if (block.Length > 0) return JsonDocument.Parse(block).RootElement;
        }
        return null;
    }

    public void Dispose()
    {
        _reader.Dispose();
        _response.Dispose();
    }

    /// <summary>The data of the next block, which may be empty.</summary>
    private async Task<string?> BlockAsync(CancellationToken cancellation)
    {
        string data = "";
        string? id = null;
        while (true)
        {
            string? line = await _reader.ReadLineAsync(cancellation);
            if (line is null) return null;
            if (line.StartsWith("id: ", StringComparison.Ordinal)) id = line[4..];
            else if (line.StartsWith("data: ", StringComparison.Ordinal)) data += line[6..];
            else if (line.Length == 0)
            {
                // Only a whole block counts: what was cut off is sent again.
                LastEventId = id ?? LastEventId;
                return data;
            }
        }
    }
}
