import { checkHeaders } from "@tungstate/protocol";
import { Duplex } from "node:stream";
import {
  CLIENT_OPTIONS,
  type ClientOptions,
  endOnAbort,
  HandshakeRejectedError,
  openClient,
  prepare,
} from "./client.ts";
import type { Driver } from "../connection/driver/driver.ts";
import { linkedController } from "../schedule/linked-controller.ts";
import { checkProxyHeaders } from "../dial/proxy/headers.ts";
import { Routes } from "../dial/routes.ts";
import { abortedError, connectError, OverallTimeout } from "../errors.ts";
import { type ConnectionSettings, connectionSettings } from "../connection/options.ts";
import { HTTP_VERSION_OPTIONS, type HttpVersionOptions, httpVersion } from "./http-version.ts";
import { openStream, secureOptions } from "./open-stream.ts";
import { isRedirect, isSameOrigin, redirectTarget } from "./redirect.ts";
import { checkTlsOptions, TLS_OPTIONS, type TlsOptions } from "../tls/options.ts";
import { secure } from "../tls/secure.ts";
import { transportOf } from "../transport/of.ts";
import type { WebSocketConnection } from "../connection/types.ts";
import { parseUrl, type WebSocketUrl } from "./url.ts";
import { checkDialOptions, DIAL_OPTIONS, type DialOptions } from "../dial/options.ts";
import { type OptionNames, checkNames } from "../options/names.ts";
import { checkFunction, checkSignal, count, time } from "../options/check.ts";
import type { ByteStream } from "../transport/byte-stream.ts";

/** Options of `clientTls`: those of `client`, and of TLS. */
export interface ClientTlsOptions extends ClientOptions {
  /**
   * TLS options: those of node:tls, `pins` and `sessionCache`. Default: the certificate is verified
   * against Node's root certificates.
   */
  readonly tls?: TlsOptions;
  /** Time limit of the TLS handshake in ms. Default 10,000. */
  readonly tlsTimeout?: number;
}

const CLIENT_TLS_OPTIONS: OptionNames<ClientTlsOptions> = {
  ...CLIENT_OPTIONS,
  tls: { ...TLS_OPTIONS },
  tlsTimeout: true,
};

/** Options of `connect`: those of `dial`, of TLS and of `client`. */
export interface ConnectOptions extends ClientTlsOptions, HttpVersionOptions, Omit<DialOptions, "signal" | "noDelay"> {
  /**
   * Time limit in ms for the whole attempt: name resolution, connection, proxy, TLS and handshake,
   * on all routes. Default: only the limits of the single steps.
   */
  readonly timeout?: number;
  /**
   * Maximum number of redirects to follow. They never lead from wss: to ws:, and credentials are
   * not sent to another origin. Default 0.
   */
  readonly maxRedirects?: number;
  /**
   * Wraps the stream, TLS included, before the handshake, for example to simulate network
   * conditions or to log bytes. The returned stream owns the given one. Default: the stream is used
   * as it is.
   */
  readonly wrap?: (stream: Duplex) => Duplex;
}

export const CONNECT_OPTIONS: OptionNames<ConnectOptions> = {
  ...DIAL_OPTIONS,
  ...CLIENT_TLS_OPTIONS,
  timeout: true,
  maxRedirects: true,
  wrap: true,
  ...HTTP_VERSION_OPTIONS,
};

/**
 * Runs a TLS handshake over a byte stream, then `client`. Rejects as `client` does, and with a
 * ConnectError if TLS fails. For a `ws:` URL, TLS options are an error.
 */
export async function clientTls(
  url: string | URL,
  stream: ByteStream,
  options: ClientTlsOptions = {},
): Promise<WebSocketConnection> {
  checkNames(options, CLIENT_TLS_OPTIONS);
  const target = parseUrl(url);
  if (!target.secure) throw connectError("INVALID_URL", `clientTls needs a wss: URL, got ${target.href}`);
  const settings = connectionSettings("client", options);
  const opening = prepare(target, settings, options);
  const tlsOptions = secureOptions(target, options, options.signal);
  const duplex = stream instanceof Duplex ? stream : Duplex.fromWeb(stream);
  const { stream: encrypted, info: tls } = await secure(duplex, tlsOptions);
  const driver = await openClient(opening, transportOf(encrypted, settings), options.signal, { tls });
  endOnAbort(driver, options.signal);
  return driver.connection;
}

/**
 * Dials, runs the TLS handshake for `wss:`, and the WebSocket handshake, over all addresses and
 * interfaces and the proxy that the options name. The first route that completes its handshake
 * wins.
 *
 * Rejects with a ConnectError that says which step failed and what was tried, with
 * HandshakeRejectedError if the server refuses, or with an error of the protocol. No socket is left
 * open then.
 */
export async function connect(url: string | URL, options: ConnectOptions = {}): Promise<WebSocketConnection> {
  checkNames(options, CONNECT_OPTIONS);
  return connectByRoutes(url, options, new Routes(options));
}

/** As `connect`, with what earlier connections have learned about the routes. */
export async function connectByRoutes(
  url: string | URL,
  given: ConnectOptions,
  routes: Routes,
): Promise<WebSocketConnection> {
  // an iterator can be read only once, and every attempt and redirect sends these fields
  const options = {
    ...given,
    headers: checkHeaders(given.headers),
    proxyHeaders: checkProxyHeaders(given.proxyHeaders),
  };
  const settings = connectionSettings("client", options);
  const left = count(options, "maxRedirects", 0, 0);
  checkSignal(options.signal);
  checkFunction(options, "wrap");
  httpVersion(options);
  const { signal, abort, unlink } = linkedController(options.signal);
  let cancelTimer: (() => void) | undefined;
  if (options.timeout !== undefined) {
    const timeout = time(options, "timeout", 0);
    cancelTimer = settings.clock.after(timeout, () => abort(new OverallTimeout(timeout)));
  }
  try {
    const driver = await follow(parseUrl(url), options, settings, routes, signal, left);
    if (signal.aborted) {
      driver.terminate();
      throw abortedError(signal, { step: "handshake" });
    }
    endOnAbort(driver, options.signal);
    return driver.connection;
  } finally {
    cancelTimer?.();
    unlink();
  }
}

async function follow(
  target: WebSocketUrl,
  options: ConnectOptions,
  settings: ConnectionSettings,
  routes: Routes,
  signal: AbortSignal,
  left: number,
): Promise<Driver> {
  try {
    return await routes.take((route, routeSignal) => attempt(target, { ...options, ...route }, settings, routeSignal), {
      signal,
      discard: (driver) => driver.terminate(),
    });
  } catch (error) {
    if (!(error instanceof HandshakeRejectedError) || options.maxRedirects === undefined) throw error;
    if (!isRedirect(error.response)) throw error;
    if (left === 0) throw connectError("REDIRECT_LIMIT", `${options.maxRedirects}`, { cause: error });
    const next = redirectTarget(target, error.response);
    const sameOrigin = isSameOrigin(next, target);
    const authorization = next.authorization ?? (sameOrigin ? target.authorization : undefined);
    const nextOptions = sameOrigin ? options : withoutCredentials(options);
    return follow({ ...next, authorization }, nextOptions, settings, routes, signal, left - 1);
  }
}

/** Fields that another origin must not get. Host names the server that it was meant for. */
const CREDENTIALS: ReadonlySet<string> = new Set(["authorization", "cookie", "proxy-authorization", "host"]);

/**
 * Removes what another origin must not see: credentials, the client certificate, and names that
 * belong to the first host. Pins remain.
 */
function withoutCredentials(options: ConnectOptions): ConnectOptions {
  const headers = checkHeaders(options.headers).filter(([name]) => !CREDENTIALS.has(name.toLowerCase()));
  const { cert: _cert, key: _key, pfx: _pfx, passphrase: _passphrase, servername: _name, ...tls } = options.tls ?? {};
  return { ...options, headers, tls };
}

async function attempt(
  target: WebSocketUrl,
  options: ConnectOptions & { readonly interface: string | undefined },
  settings: ConnectionSettings,
  signal: AbortSignal,
): Promise<Driver> {
  const version = httpVersion(options);
  // without TLS there is no ALPN, which would tell whether the server supports HTTP/2
  if (version === "2" || (version === "auto" && target.secure)) {
    const { attemptHttp2 } = await import("./attempt-http2.ts");
    return attemptHttp2(target, options, settings, signal, version);
  }
  const opening = prepare(target, settings, options);
  const { stream, route, tls, tried } = await openStream(target, options, signal);
  return openClient(opening, transportOf(stream, settings), signal, { route, tls }, tried);
}

/**
 * Checks what `connect` checks at an attempt, except the URL and the names. Throws what it would
 * reject with.
 */
export function checkConnectOptions(options: ConnectOptions): void {
  prepare(parseUrl("ws://localhost/"), connectionSettings("client", options), options);
  checkDialOptions(options);
  checkProxyHeaders(options.proxyHeaders);
  checkTlsOptions(options.tls ?? {});
  httpVersion(options);
  checkFunction(options, "wrap");
  time(options, "timeout", 1);
  time(options, "tlsTimeout", 1);
  count(options, "maxRedirects", 0, 0);
}
