/** The way that a byte stream takes. Through a proxy, the addresses are those of the connection to the proxy. */
export interface Route {
  /** The network interface that was asked for, else the one that has the local address. */
  readonly interface: string | undefined;
  /** The local IP address. */
  readonly localAddress: string | undefined;
  /** The local port. */
  readonly localPort: number | undefined;
  /** The IP address of the server, or of the proxy. */
  readonly remoteAddress: string | undefined;
  /** The port of the server, or of the proxy. */
  readonly remotePort: number | undefined;
  /** The path of a Unix socket. */
  readonly path: string | undefined;
  /** The proxy's URL, without credentials. */
  readonly proxy: string | undefined;
}
