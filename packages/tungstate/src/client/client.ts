import {
  checkHeaders,
  ClientHandshake,
  type ClientOffer,
  type HeaderInput,
  type HeadLimits,
  type RejectedResponse,
  WebSocketError,
} from "@tungstate/protocol";
import { onAbort } from "../schedule/abort-signal.ts";
import { publishOpen } from "../connection/channels.ts";
import { openConnection } from "../connection/connection.ts";
import type { Driver } from "../connection/driver/driver.ts";
import type { Way } from "../connection/driver/link.ts";
import { clientCompression } from "../deflate/settings.ts";
import { abortedError, type ConnectError, connectError, endpointError, type Tried } from "../errors.ts";
import { runHandshake } from "./handshaking.ts";
import { sha1 } from "../native/primitives.ts";
import {
  CONNECTION_OPTIONS,
  type ConnectionOptions,
  type ConnectionSettings,
  connectionSettings,
} from "../connection/options.ts";
import type { Transport } from "../transport/transport.ts";
import { transportOf } from "../transport/of.ts";
import type { WebSocketConnection } from "../connection/types.ts";
import { tlsFailure } from "../tls/failures.ts";
import { isEncrypted, parseUrl, type WebSocketUrl } from "./url.ts";
import { HEAD_LIMIT_OPTIONS } from "../options/head-limits.ts";
import { type OptionNames, checkNames } from "../options/names.ts";
import { checkSignal, time } from "../options/check.ts";
import type { ByteStream } from "../transport/byte-stream.ts";

/** Options of `client`: those of a connection, and of its handshake. */
export interface ClientOptions extends ConnectionOptions {
  /** Subprotocols to offer, in order of preference. Default none. */
  readonly protocols?: string | readonly string[];
  /** Additional header fields of the request. Default none. */
  readonly headers?: HeaderInput;
  /** Value of the Origin header field. Default none; only browsers must send it. */
  readonly origin?: string;
  /** Time limit of the handshake in ms. Default 10,000. */
  readonly handshakeTimeout?: number;
  /** Limits of the response head: bytes and number of fields. */
  readonly handshakeLimits?: Partial<HeadLimits>;
  /** Aborts the handshake, and later the connection. */
  readonly signal?: AbortSignal;
}

export const CLIENT_OPTIONS: OptionNames<ClientOptions> = {
  ...CONNECTION_OPTIONS,
  protocols: true,
  headers: true,
  origin: true,
  handshakeTimeout: true,
  handshakeLimits: { ...HEAD_LIMIT_OPTIONS },
  signal: true,
};

/** The server refused the handshake: its response is not 101. */
export class HandshakeRejectedError extends WebSocketError {
  /** The response of the server: status, header fields, and the beginning of its body. */
  readonly response: RejectedResponse;

  constructor(response: RejectedResponse, error: WebSocketError) {
    super(error.code, { fault: error.fault, text: error.message });
    this.response = response;
  }
}

/**
 * Runs the client's handshake on a byte stream and returns the connection. `client` knows no TLS: a
 * `wss:` URL needs an encrypted stream, such as a `tls.TLSSocket` (see `clientTls`).
 *
 * Rejects with INVALID_ARGUMENT, INVALID_URL or NOT_ENCRYPTED for wrong arguments; nothing was sent
 * then, and the stream is unchanged. In all other cases the stream is destroyed: rejects with
 * HandshakeRejectedError, which has the response, if the server refuses, and with
 * HANDSHAKE_TIMEOUT, HANDSHAKE_CLOSED, ABORTED or an error of the protocol.
 */
export async function client(
  url: string | URL,
  stream: ByteStream,
  options: ClientOptions = {},
): Promise<WebSocketConnection> {
  checkNames(options, CLIENT_OPTIONS);
  const target = parseUrl(url);
  const settings = connectionSettings("client", options);
  if (target.secure && !isEncrypted(stream)) {
    throw connectError("NOT_ENCRYPTED", `${target.href} over a stream that is not; use clientTls, or connect`);
  }
  const opening = prepare(target, settings, options);
  const driver = await openClient(opening, transportOf(stream, settings), options.signal);
  endOnAbort(driver, options.signal);
  return driver.connection;
}

/**
 * Time limit in ms for the body of a response other than 101, from the end of its head. Some
 * servers send no Content-Length and leave the connection open, and the caller needs the status.
 */
export const REJECTION_BODY_TIMEOUT = 1_000;

/** A handshake that has not started. */
export interface Opening {
  readonly handshake: ClientHandshake;
  readonly settings: ConnectionSettings;
  /** ms */
  readonly timeout: number;
}

/** Checks everything that a handshake needs before anything is opened or sent. */
export function prepare(target: WebSocketUrl, settings: ConnectionSettings, options: ClientOptions): Opening {
  checkSignal(options.signal);
  const timeout = time(options, "handshakeTimeout", 10_000);
  const handshake = new ClientHandshake({
    ...offerOf(target, settings, options),
    limits: options.handshakeLimits,
    random: settings.fillRandom,
    runtime: settings.runtime,
    sha1,
  });
  return { handshake, settings, timeout };
}

/** Returns what the request asks for, in every version of HTTP. */
export function offerOf(target: WebSocketUrl, settings: ConnectionSettings, options: ClientOptions): ClientOffer {
  return {
    host: target.host,
    target: target.resource,
    origin: options.origin,
    protocols: typeof options.protocols === "string" ? [options.protocols] : options.protocols,
    headers:
      target.authorization === undefined ? options.headers : withAuthorization(target.authorization, options.headers),
    extensions: settings.deflate === undefined ? [] : [clientCompression(settings.deflate.compression)],
  };
}

/**
 * As `client`, for a transport. `signal` ends the handshake only; `way` describes how the transport
 * came about, `tried` the same for errors.
 */
export async function openClient(
  { handshake, settings, timeout }: Opening,
  transport: Transport,
  signal: AbortSignal | undefined,
  way: Way = {},
  tried: Tried = {},
): Promise<Driver> {
  const step = (progress: ReturnType<ClientHandshake["receive"]>) => {
    if (progress.state === "failed") {
      const { error } = progress;
      throw error.code === "CONNECTION_LOST"
        ? connectError("HANDSHAKE_CLOSED", undefined, { cause: error, tried })
        : error;
    }
    if (progress.state === "rejected") throw new HandshakeRejectedError(progress.response, progress.error);
    return progress.state === "open" ? progress : undefined;
  };
  /**
   * Returns the rejection if a response head has come, even if its body has not ended; otherwise
   * `error`.
   */
  const rejectionOr = (error: () => WebSocketError): WebSocketError => {
    const progress = handshake.cut();
    return progress.state === "rejected" ? new HandshakeRejectedError(progress.response, progress.error) : error();
  };
  try {
    if (signal?.aborted === true) throw abortedError(signal, { step: "handshake", tried });
    transport.write(handshake.request());
    const agreed = await runHandshake(transport, {
      clock: settings.clock,
      timeout,
      signal,
      receive: (bytes, limit) => {
        const result = step(handshake.receive(bytes));
        if (result === undefined && handshake.isRejected) limit(REJECTION_BODY_TIMEOUT);
        return result;
      },
      end: () => step(handshake.end()),
      timedOut: () => rejectionOr(() => connectError("HANDSHAKE_TIMEOUT", `${timeout} ms`, { tried })),
      lost: (cause) => rejectionOr(() => lostError(cause, tried)),
      aborted: () => abortedError(signal ?? AbortSignal.abort(), { step: "handshake", tried }),
    });
    const { protocol, extensionsHeader: extensions, headers, rest } = agreed;
    const codec = settings.deflate?.codecFor(agreed.extensions, "client");
    const driver = openConnection(transport, settings, { protocol, extensions, codec, ...way }, headers, rest);
    publishOpen(driver.connection, "client");
    return driver;
  } catch (error) {
    transport.destroy();
    throw error;
  }
}

/**
 * The stream ended before the response. With TLS 1.3, a server checks the client's certificate
 * after the client has completed the TLS handshake (RFC 8446 §4.4.2), so that its alert arrives
 * here.
 */
export function lostError(cause: NodeJS.ErrnoException | undefined, tried: Tried): ConnectError {
  if (cause?.code?.startsWith("ERR_SSL_") === true) return tlsFailure(cause, tried);
  return connectError("HANDSHAKE_CLOSED", cause?.message, { cause, tried });
}

/** Ends the connection when the caller's signal is aborted. */
export function endOnAbort(driver: Driver, signal: AbortSignal | undefined): void {
  if (signal === undefined) return;
  const abort = (): void => {
    driver.endFor(endpointError("CLOSED_BY_SIGNAL", undefined, { cause: signal.reason }));
  };
  if (signal.aborted) abort();
  else if (driver.state !== "closed") driver.once("close", onAbort(signal, abort));
}

/** Adds the URL's user and password, unless the caller sets the Authorization field. */
function withAuthorization(authorization: string, headers: HeaderInput | undefined): HeaderInput {
  const given = checkHeaders(headers);
  if (given.some(([name]) => name.toLowerCase() === "authorization")) return given;
  return [...given, ["Authorization", authorization]];
}
