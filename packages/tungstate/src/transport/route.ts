/** A version of HTTP that WebSockets can be opened with. */
export type HttpVersion = "1.1" | "2";

/**
 * The network route of a connection. Through a proxy, the addresses are those of the connection to
 * the proxy.
 */
export interface Route {
  /** The requested network interface; otherwise the one that has the local address. */
  readonly interface: string | undefined;
  /** The local IP address. */
  readonly localAddress: string | undefined;
  /** The local port. */
  readonly localPort: number | undefined;
  /** The IP address of the server, or of the proxy. */
  readonly remoteAddress: string | undefined;
  /** The port of the server, or of the proxy. */
  readonly remotePort: number | undefined;
  /** Path of the Unix socket. */
  readonly path: string | undefined;
  /** URL of the proxy, without credentials. */
  readonly proxy: string | undefined;
  /** The version of HTTP of the handshake. */
  readonly httpVersion: HttpVersion;
  /**
   * With HTTP/2: number of the session in this process. Connections with the same number share one
   * TCP connection. Otherwise undefined.
   */
  readonly session: number | undefined;
}
