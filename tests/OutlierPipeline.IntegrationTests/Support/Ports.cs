using System.Net;
using System.Net.Sockets;

namespace OutlierPipeline.IntegrationTests.Support;

/// <summary>Ports for programs that must be told one.</summary>
internal static class Ports
{
    public static int Free()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
