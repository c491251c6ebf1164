import { ConnectHandshake, DEFAULT_HEAD_LIMITS } from "@tungstate/protocol";
import { argumentError } from "@tungstate/protocol/internal";
import type { Driver } from "../connection/driver/driver.ts";
import type { ConnectionSettings } from "../connection/options.ts";
import { interfaceNames } from "../dial/options.ts";
import { chooseProxy } from "../dial/dial.ts";
import { checkProxyHeaders } from "../dial/proxy/headers.ts";
import { ConnectError, connectError } from "../errors.ts";
import type { ClientSession, OpenedStream, ResponseLimits } from "../http2/client/client-session.ts";
import { HandshakeTime } from "../http2/client/handshake-time.ts";
import { Http2Sessions, poolOf } from "../http2/client/http2-sessions.ts";
import { headersOf } from "../http2/fields.ts";
import { loadHttp2 } from "../http2/load.ts";
import type { Acquired, Demand } from "../http2/client/session-pool.ts";
import { digestOf, identityOf, objectNumber } from "../tls/identity.ts";
import { transportOf } from "../transport/of.ts";
import { type ClientOptions, offerOf, openClient, prepare } from "./client.ts";
import type { HttpVersionOptions } from "./http-version.ts";
import { openStream, type StreamOptions } from "./open-stream.ts";
import { openOnStream } from "./stream-handshake.ts";
import type { WebSocketUrl } from "./url.ts";

/** Options of an attempt on one route. */
export type AttemptOptions = ClientOptions &
  HttpVersionOptions &
  StreamOptions & { readonly interface: string | undefined };

/** The sessions of connections without `http2Sessions`. */
const makeSessions = (): Http2Sessions => new Http2Sessions();

/**
 * Opens a connection over HTTP/2, on a session that it shares with others. With `auto`, over
 * HTTP/1.1 if the server does not support WebSocket over HTTP/2.
 */
export async function attemptHttp2(
  target: WebSocketUrl,
  options: AttemptOptions,
  settings: ConnectionSettings,
  signal: AbortSignal,
  version: "2" | "auto",
): Promise<Driver> {
  const opening = prepare(target, settings, options);
  const { secure: encrypted } = target;
  const handshake = new ConnectHandshake({ ...offerOf(target, settings, options), encrypted });
  try {
    await loadHttp2();
  } catch (error) {
    if (version === "2") throw error;
    const { stream, route, tls, tried } = await openStream(target, options, signal);
    return await openClient(opening, transportOf(stream, settings), signal, { route, tls }, tried);
  }
  const pool = poolOf(options.http2Sessions ?? settings.runtime.part(makeSessions), settings.clock);
  const time = new HandshakeTime(settings.clock, opening.timeout);
  const limits = responseLimits(options);
  const demand: Demand = {
    key: keyOf(target, options, limits),
    version,
    signal,
    time,
    limits,
    fields: headersOf(handshake.fields),
    open: (made) => openForHttp2(target, options, made, version),
  };
  let refusedBy: ClientSession | undefined;
  for (;;) {
    const acquired = await acquire(() => pool.acquire({ ...demand, refusedBy }));
    if (acquired.version === "1.1") {
      const { stream, route, tls, tried } = acquired.opened ?? (await openStream(target, options, signal));
      return await openClient(opening, transportOf(stream, settings), signal, { route, tls }, tried);
    }
    const driver = await openOnStream({ ...acquired, handshake, settings, time, signal });
    if (driver !== "refused") return driver;
    // RFC 9113 §8.7: "Requests that have not been processed have not failed; clients MAY
    // automatically retry them"
    if (refusedBy !== undefined) {
      const { tried } = acquired.session.opened;
      throw connectError("STREAM_REFUSED", "REFUSED_STREAM on two connections", { tried });
    }
    refusedBy = acquired.session;
  }
}

/** Turns what node:http2 says about header fields into an error of the option. */
async function acquire(act: () => Promise<Acquired>): Promise<Acquired> {
  try {
    return await act();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== "ERR_HTTP2_HEADER_SINGLE_VALUE") throw error;
    throw argumentError(TypeError, `headers cannot be sent over HTTP/2: ${message}`);
  }
}

/** Opens a byte stream that HTTP/2 can be spoken on, or with `auto` HTTP/1.1. */
async function openForHttp2(
  target: WebSocketUrl,
  options: AttemptOptions,
  signal: AbortSignal,
  version: "2" | "auto",
): Promise<OpenedStream> {
  if (version === "auto") return await openStream(target, options, signal, ["h2", "http/1.1"]);
  let opened: OpenedStream;
  try {
    opened = await openStream(target, options, signal, ["h2"]);
  } catch (cause) {
    if (!(cause instanceof ConnectError) || cause.code !== "TLS_ALPN") throw cause;
    throw connectError("HTTP2_NOT_SUPPORTED", "it refused h2", { cause, tried: cause.tried });
  }
  const { tls, tried, stream } = opened;
  // RFC 9113 §3.2: a client that offers h2 by ALPN "MUST" have it selected to use HTTP/2
  if (tls === undefined || tls.alpn === "h2") return opened;
  stream.destroy();
  throw connectError("HTTP2_NOT_SUPPORTED", `it chose ${tls.alpn ?? "no protocol"} by ALPN`, { tried });
}

/** As the options have them, within what node:http2 can express. */
function responseLimits({ handshakeLimits = {} }: AttemptOptions): ResponseLimits {
  const { maxHeadSize = DEFAULT_HEAD_LIMITS.maxHeadSize, maxHeaders = DEFAULT_HEAD_LIMITS.maxHeaders } =
    handshakeLimits;
  return { maxHeadSize: Math.min(maxHeadSize, MAX_LIMIT), maxHeaders: Math.min(maxHeaders, MAX_LIMIT) };
}

const MAX_LIMIT = 2 ** 30;

/**
 * Names the server and everything that a TCP connection to it depends on. Only connections with
 * equal keys share a session.
 */
function keyOf(target: WebSocketUrl, options: AttemptOptions, limits: ResponseLimits): string {
  const { hostname: host, port, secure, socketPath } = target;
  const { tls = {}, bindToDevice, localAddress, localPort, family, lookup, wrap } = options;
  const { noDelay, keepAlive, tcpUserTimeout, proxyTls } = options;
  const { sessionCache } = tls;
  const ofObject = (value: object | undefined) => (value === undefined ? null : objectNumber(value));
  return digestOf(
    JSON.stringify([
      [secure, host, port, socketPath],
      secure && [tls.servername, identityOf(tls), sessionCache === false ? false : ofObject(sessionCache)],
      [interfaceNames(options), bindToDevice, localAddress, localPort, family, ofObject(lookup)],
      chooseProxy(socketPath === undefined ? { host, port, secure } : { path: socketPath }, options),
      [checkProxyHeaders(options.proxyHeaders), proxyTls && identityOf(proxyTls)],
      [noDelay, keepAlive, tcpUserTimeout, ofObject(wrap), limits],
    ]),
  );
}
