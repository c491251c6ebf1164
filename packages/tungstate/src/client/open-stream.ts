import { argumentError } from "@tungstate/protocol/internal";
import { Duplex } from "node:stream";
import { dialAny } from "../dial/dial.ts";
import type { DialOptions } from "../dial/options.ts";
import type { Tried } from "../errors.ts";
import type { OpenedStream } from "../http2/client/client-session.ts";
import { time } from "../options/check.ts";
import { describe } from "../options/describe.ts";
import { checkTlsOptions, type TlsOptions } from "../tls/options.ts";
import { type SecureOptions, secureOver } from "../tls/secure.ts";
import type { Route } from "../transport/route.ts";
import type { WebSocketUrl } from "./url.ts";

/** The options of TLS that both `connect` and `clientTls` have. */
export interface StreamTlsOptions {
  readonly tls?: TlsOptions;
  readonly tlsTimeout?: number;
}

/** What a byte stream to a server depends on. */
export interface StreamOptions extends StreamTlsOptions, Omit<DialOptions, "signal"> {
  readonly wrap?: (stream: Duplex) => Duplex;
}

/** Checks what TLS needs before anything is opened. */
export function secureOptions(
  target: WebSocketUrl,
  options: StreamTlsOptions,
  signal: AbortSignal | undefined,
): SecureOptions {
  const timeout = time(options, "tlsTimeout", 10_000);
  checkTlsOptions(options.tls ?? {});
  return { ...options.tls, host: target.hostname, port: target.port, timeout, signal };
}

/**
 * Opens a byte stream to a server: TCP, proxy, the application's `wrap`, and TLS for `wss:`.
 * `protocols`: those to offer by ALPN, by default as in the options.
 */
export async function openStream(
  target: WebSocketUrl,
  options: StreamOptions,
  signal: AbortSignal,
  protocols?: readonly string[],
): Promise<OpenedStream> {
  const { hostname: host, port, secure: encrypted, socketPath: path } = target;
  const tls = encrypted ? secureOptions(target, options, signal) : undefined;
  const to = path === undefined ? { host, port, secure: encrypted } : { path };
  const { stream: socket, route } = await dialAny(to, { ...options, signal });
  const stream = options.wrap === undefined ? socket : wrapped(socket, options.wrap);
  const tried = triedBy(route, target);
  if (tls === undefined) return { stream, socket, route, tls: undefined, tried };
  const secured = await secureOver(stream, tls, tried, protocols);
  return { stream: secured.stream, socket, route, tls: secured.info, tried };
}

/** Describes the connection so far, for errors of TLS and of the handshake. */
function triedBy({ path, proxy, ...route }: Route, { hostname, port }: WebSocketUrl): Tried {
  if (path !== undefined) return { path };
  const { interface: name, localAddress, remoteAddress, remotePort } = route;
  const common = { host: hostname, interface: name, localAddress, proxy };
  // the remote address and port are the proxy's
  return proxy === undefined ? { ...common, remoteAddress, remotePort } : { ...common, remotePort: port };
}

function wrapped(dialed: Duplex, wrap: (stream: Duplex) => Duplex): Duplex {
  try {
    const stream: unknown = wrap(dialed);
    if (stream instanceof Duplex) return stream;
    throw argumentError(TypeError, `wrap must return a Duplex, got ${describe(stream)}`);
  } catch (error) {
    dialed.destroy();
    throw error;
  }
}
