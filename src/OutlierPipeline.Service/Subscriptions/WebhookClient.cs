using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using OutlierPipeline.Alerts;

namespace OutlierPipeline.Service.Subscriptions;

/// <summary>How an attempt ended.</summary>
/// <param name="Status">The answer's status; null where there was none.</param>
/// <param name="Error">What went wrong, or null.</param>
internal sealed record WebhookAnswer(int? Status, string? Error)
{
    public bool IsDelivered => Error is null;

    /// <summary>The receiver says that it is gone for good.</summary>
    public bool IsGone => Status == (int)HttpStatusCode.Gone;
}

/// <summary>
/// Posts signed events. Addresses are checked when the connection is made, on the address that it is made to: a name may lead elsewhere a
/// moment later.
/// </summary>
internal sealed class WebhookClient : IDisposable
{
    private readonly AddressRule _rule;
    private readonly WebhookOptions _options;
    private readonly TimeProvider _time;
    private readonly HttpClient _http;

    public WebhookClient(WebhookOptions options, TimeProvider time)
    {
        _options = options;
        _time = time;
        _rule = new AddressRule(options);
        _http = new HttpClient(new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseProxy = false,
            UseCookies = false,
            PooledConnectionLifetime = TimeSpan.FromMinutes(1),
            MaxResponseHeadersLength = 16,
            ConnectCallback = ConnectAsync,
        })
        { Timeout = Timeout.InfiniteTimeSpan };
        _http.DefaultRequestHeaders.UserAgent.Add(new ProductInfoHeaderValue("OutlierPipeline", "1"));
    }

    /// <summary>Posts one event.</summary>
    /// <param name="json">A CloudEvent in structured JSON.</param>
    public async Task<WebhookAnswer> SendAsync(SubscriptionRow subscription, string eventId, string json, CancellationToken cancellation)
    {
        // By the real clock: a receiver that hangs holds a socket, whatever the time of the test is.
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(_options.Timeout);
        try
        {
            using var request = Signed(subscription, eventId, Encoding.UTF8.GetBytes(json));
            // What the receiver says beyond its status is not read.
            using var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, limit.Token);
            int status = (int)response.StatusCode;
            return new WebhookAnswer(status, response.IsSuccessStatusCode
                ? null
                : string.Create(CultureInfo.InvariantCulture,
                $"the receiver answered {status}{(status is >= 300 and < 400 ? "; redirects are not followed" : "")}"));
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            return new WebhookAnswer(null,
                string.Create(CultureInfo.InvariantCulture, $"the receiver did not answer within {_options.Timeout.TotalSeconds:0.#} s"));
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            // Whatever it is, an address or a secret that another version wrote too, it is this subscription's fault alone.
            return new WebhookAnswer(null, e.GetBaseException().Message);
        }
    }

    public void Dispose() => _http.Dispose();

    private HttpRequestMessage Signed(SubscriptionRow subscription, string eventId, byte[] body)
    {
        long timestamp = _time.GetUtcNow().ToUnixTimeSeconds();
        var request = new HttpRequestMessage(HttpMethod.Post, subscription.Url) { Content = new ByteArrayContent(body) };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue(AlertEvent.ContentType, "utf-8");
        request.Headers.Add("webhook-id", eventId);
        request.Headers.Add("webhook-timestamp", timestamp.ToString(CultureInfo.InvariantCulture));
        request.Headers.Add("webhook-signature", WebhookSignature.Sign(subscription.Secret, eventId, timestamp, body));
        return request;
    }

    private async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellation)
    {
        var addresses = await Dns.GetHostAddressesAsync(context.DnsEndPoint.Host, cancellation);
        // One that is refused refuses the name: else it could be tried which of its addresses answers.
        if (addresses.Select(_rule.Refusal).FirstOrDefault(refusal => refusal is not null) is { } refused)
            throw new HttpRequestException(refused);
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(addresses, context.DnsEndPoint.Port, cancellation);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
