import { Duplex } from "node:stream";
import { type ConnectError, connectError, type ConnectionErrorCode, type Tried } from "../errors.ts";
import { abortable } from "./abort.ts";
import type { Proxy } from "./proxy.ts";
import { take } from "./take.ts";

/** The package keeps a timer for each connection until this has passed, whether or not it is done; ours ends it before. */
const PACKAGE_TIMEOUT_MS = 120_000;

/**
 * Asks a SOCKS5 proxy (RFC 1928, RFC 1929) for a connection, through the npm package socks. The bytes behind the proxy's
 * answer stay in the stream. `host` is an IP address, or a name that the proxy is to resolve.
 */
export async function openSocks(
  stream: Duplex,
  proxy: Proxy,
  host: string,
  port: number,
  tried: Tried,
  signal: AbortSignal,
): Promise<void> {
  const { SocksClient } = await loadSocks(tried);
  const leg = new SocksLeg(stream);
  const { credentials } = proxy;
  const options = { step: "proxy", tried } as const;
  const negotiation = SocksClient.createConnection({
    proxy: {
      host: proxy.host,
      port: proxy.port,
      type: 5,
      ...(credentials === undefined ? {} : { userId: credentials.username, password: credentials.password }),
    },
    command: "connect",
    destination: { host, port },
    existing_socket: leg,
    timeout: PACKAGE_TIMEOUT_MS,
  });
  // What the package rejects with holds the proxy's credentials: only its text goes on.
  const outcome = negotiation.then(
    ({ remoteHost }) =>
      // It lets an address of an unknown type pass, with the address unread.
      remoteHost === undefined
        ? connectError("PROXY_FAILED", "its answer has an address of no known type", options)
        : undefined,
    (error: Error) => socksError(error.message, proxy, tried),
  );
  const bytes = take(stream, (chunk) => leg.feed(chunk), signal, options);
  try {
    const failure = await abortable<ConnectError | undefined>(
      signal,
      (resolve, reject) => {
        void outcome.then(resolve);
        bytes.catch(reject);
        return () => undefined;
      },
      options,
    );
    if (failure !== undefined) throw failure;
    await bytes;
  } finally {
    leg.destroy();
  }
}

/**
 * What the package speaks through, in place of the socket: it reads ahead and hands back what was too much by an event that
 * may find no listener. So it gets one byte at a time, until it pauses its stream, which it does when it is done.
 */
class SocksLeg extends Duplex {
  private stream: Duplex | undefined;
  private done = false;

  constructor(stream: Duplex) {
    super();
    this.stream = stream;
  }

  feed(chunk: Buffer): { result: undefined; rest: Buffer } | undefined {
    for (let at = 0; at < chunk.length; at++) {
      this.emit("data", chunk.subarray(at, at + 1));
      if (this.done) return { result: undefined, rest: chunk.subarray(at + 1) };
    }
    return undefined;
  }

  override pause(): this {
    this.done = true;
    return super.pause();
  }

  override _read(): void {
    // bytes come by feed()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.stream?.write(chunk);
    callback();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.stream = undefined; // the package's timer holds this object for a while; not the connection too
    callback(error);
  }
}

async function loadSocks(tried: Tried): Promise<typeof import("socks")> {
  try {
    return await import("socks");
  } catch (cause) {
    throw connectError("PACKAGE_MISSING", "a SOCKS proxy is spoken to through the package socks: npm install socks", {
      step: "proxy",
      cause,
      tried,
    });
  }
}

/** What the package's message means; the reply's name, where there is one, is its last word. */
function socksError(message: string, proxy: Proxy, tried: Tried): ConnectError {
  const cause = new Error(message);
  const fail = (code: ConnectionErrorCode, detail: string): ConnectError =>
    connectError(code, detail, { cause, tried });
  if (/authentication failed/i.test(message)) return fail("PROXY_AUTH", "those given were refused");
  if (/no accepted authentication type/i.test(message)) {
    return fail(
      "PROXY_AUTH",
      proxy.credentials === undefined ? "none were given" : "it accepts no user name and password",
    );
  }
  const [, reply] = /rejected connection - (\w+)/.exec(message) ?? [];
  if (reply === "NotAllowed" || reply === "CommandNotSupported" || reply === "AddressNotSupported") {
    return fail("PROXY_DENIED", `it answers ${reply}`);
  }
  return fail(
    "PROXY_FAILED",
    reply === undefined ? message : `it answers ${reply === "undefined" ? "with an unknown code" : reply}`,
  );
}
