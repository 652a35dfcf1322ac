using System.Net;
using System.Net.Sockets;

namespace OutlierPipeline.IntegrationTests.Support;

/// <summary>Ports for programs that must be told one.</summary>
internal static class Ports
{
    private static readonly HashSet<int> Given = [];

    /// <remarks>
    /// None of those that the system gives to connections: while a program is away for a moment, a connection could take its port, or a
    /// client that knocks there could be connected to itself.
    /// </remarks>
    public static int Free()
    {
        while (true)
        {
            int port = Random.Shared.Next(15_000, 32_000);
            lock (Given)
            {
                if (!Given.Add(port)) continue;
            }
            try
            {
                using var listener = new TcpListener(IPAddress.Loopback, port);
                listener.Start();
                return port;
            }
            catch (SocketException)
            {
                // Somebody has it.
            }
        }
    }
}
