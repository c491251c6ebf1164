import {
  checkHeaders,
  ClientHandshake,
  type HeaderInput,
  type HeadLimits,
  protocolError,
  type RejectedResponse,
  WebSocketError,
} from "@tungstate/protocol";
import { onAbort } from "../schedule/abort-signal.ts";
import { openConnection } from "../connection/connection.ts";
import type { Driver, Way } from "../connection/driver.ts";
import { codecOf } from "../deflate/codec.ts";
import { clientCompression } from "../deflate/settings.ts";
import { abortedError, connectError, type Tried } from "../errors.ts";
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
import { isEncrypted, parseUrl, type WebSocketUrl } from "./url.ts";
import { HEAD_LIMIT_OPTIONS } from "../options/head-limits.ts";
import { type OptionNames, checkNames } from "../options/names.ts";
import { checkSignal, time } from "../options/check.ts";
import type { ByteStream } from "../transport/byte-stream.ts";

/** What a client can say in its handshake, and how long that may take. */
export interface ClientOptions extends ConnectionOptions {
  /** Subprotocols to offer, most wanted first. Default none. */
  readonly protocols?: string | readonly string[];
  /** More header fields of the request. */
  readonly headers?: HeaderInput;
  /** Sent as Origin. Default none: only browsers have to. */
  readonly origin?: string;
  /** How long the handshake may take, in ms. Default 10,000. */
  readonly handshakeTimeout?: number;
  /** Largest head of the response in bytes, and the other limits of a head. */
  readonly handshakeLimits?: Partial<HeadLimits>;
  /** Aborting it ends the handshake, and later the connection. */
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

/** The server answered with something else than 101. */
export class HandshakeRejectedError extends WebSocketError {
  /** The response of the server: status, header fields, and the beginning of its body. */
  readonly response: RejectedResponse;

  constructor(response: RejectedResponse, error: WebSocketError) {
    super(error.code, { fault: error.fault, text: error.message });
    this.response = response;
  }
}

/**
 * Does the client's handshake on a byte stream that is there already, and gives the connection on it. It knows no TLS: a `wss:` URL
 * needs a stream that is encrypted, such as a `tls.TLSSocket` (see `clientTls`).
 *
 * Rejects with INVALID_ARGUMENT, INVALID_URL or NOT_ENCRYPTED for what the caller got wrong: nothing has been sent then, and the stream is as
 * it was. Else the stream is destroyed: HandshakeRejectedError with the response if the server refuses; HANDSHAKE_TIMEOUT,
 * HANDSHAKE_CLOSED, ABORTED and the protocol's errors otherwise.
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
 * ms that the body of a response other than 101 may take after its head. Some servers send no Content-Length and leave the connection open,
 * and the caller needs the status.
 */
const REJECTION_BODY_TIMEOUT = 1_000;

/** A handshake that has not begun. */
export interface Opening {
  readonly handshake: ClientHandshake;
  readonly settings: ConnectionSettings;
  /** ms */
  readonly timeout: number;
}

/** Checks all that a handshake needs, before anything is opened or sent for it. */
export function prepare(target: WebSocketUrl, settings: ConnectionSettings, options: ClientOptions): Opening {
  checkSignal(options.signal);
  const timeout = time(options, "handshakeTimeout", 10_000);
  const handshake = new ClientHandshake({
    host: target.host,
    target: target.resource,
    origin: options.origin,
    protocols: typeof options.protocols === "string" ? [options.protocols] : options.protocols,
    headers:
      target.authorization === undefined ? options.headers : withAuthorization(target.authorization, options.headers),
    limits: options.handshakeLimits,
    extensions: settings.deflate === undefined ? [] : [clientCompression(settings.deflate.compression)],
    random: settings.fillRandom,
    sha1,
  });
  return { handshake, settings, timeout };
}

/** `client` for a transport. `signal` ends the handshake only; `way` is how the transport came about, `tried` the same for errors. */
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
  /** The response whose head has come, although its body has not ended; else `error`. */
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
      lost: (cause) => rejectionOr(() => connectError("HANDSHAKE_CLOSED", cause?.message, { cause, tried })),
      aborted: () => abortedError(signal ?? AbortSignal.abort(), { step: "handshake", tried }),
    });
    const { protocol, extensionsHeader: extensions, headers, rest } = agreed;
    const codec = codecOf(agreed.extensions, "client", settings.deflate?.compression);
    return openConnection(transport, settings, { protocol, extensions, codec, ...way }, headers, rest);
  } catch (error) {
    transport.destroy();
    throw error;
  }
}

/** Lets the caller's signal end the connection, too. */
export function endOnAbort(driver: Driver, signal: AbortSignal | undefined): void {
  if (signal === undefined) return;
  const abort = (): void => {
    driver.endFor(protocolError("CLOSED_BY_SIGNAL", undefined, { cause: signal.reason }));
  };
  if (signal.aborted) abort();
  else if (driver.state !== "closed") driver.once("close", onAbort(signal, abort));
}

/** The user and password of the URL, unless the caller sets the header itself. */
function withAuthorization(authorization: string, headers: HeaderInput | undefined): HeaderInput {
  const given = checkHeaders(headers);
  if (given.some(([name]) => name.toLowerCase() === "authorization")) return given;
  return [...given, ["Authorization", authorization]];
}
