import { ServerHandshake, type UpgradeRequest } from "@tungstate/protocol";
import type { Clock } from "../clock.ts";
import { Connection } from "../connection.ts";
import { runHandshake } from "../handshaking.ts";
import { sha1 } from "../native.ts";
import { type ConnectionOptions, type ConnectionSettings, connectionSettings } from "../options.ts";
import { transportOf } from "../transport/of.ts";
import type { Transport } from "../transport/transport.ts";
import type { ByteStream, WebSocketConnection } from "../types.ts";
import { isEncrypted } from "../url.ts";
import { Admission, type AdmissionOptions, RefusedError } from "./admission.ts";
import { serverError } from "./errors.ts";
import type { HandshakeRequest, RequestOrigin } from "./request.ts";

export interface AcceptOptions extends ConnectionOptions, AdmissionOptions {
  /** Aborting it ends the handshake. */
  readonly signal?: AbortSignal;
}

/**
 * Does the server's handshake on a byte stream, and gives the connection on it. When it rejects, the client has been answered as
 * HTTP wants it (400, 403, 426, ...) and the stream is ended.
 */
export async function accept(stream: ByteStream, options: AcceptOptions = {}): Promise<WebSocketConnection> {
  const settings = connectionSettings("server", options);
  const admission = new Admission(options, []);
  const transport = transportOf(stream, settings);
  const from = { remoteAddress: transport.remoteAddress, encrypted: isEncrypted(stream), raw: undefined };
  const { connection } = await acceptTransport(transport, admission, settings, from, options.signal);
  return connection;
}

export interface AcceptedConnection {
  readonly connection: Connection;
  readonly request: HandshakeRequest;
}

/** `accept` for a transport. */
export async function acceptTransport(
  transport: Transport,
  admission: Admission,
  settings: ConnectionSettings,
  from: RequestOrigin,
  signal?: AbortSignal,
): Promise<AcceptedConnection> {
  const { clock } = settings;
  const handshake = new ServerHandshake({ sha1, limits: admission.limits });
  const began = clock.now();
  try {
    const upgrade = await runHandshake<UpgradeRequest>(transport, {
      clock,
      timeout: admission.timeout,
      signal,
      receive(bytes) {
        const progress = handshake.receive(bytes);
        if (progress.state === "refused") throw new RefusedError(progress.error);
        return progress.state === "request" ? progress.request : undefined;
      },
      end: () => undefined,
      timedOut: () => new RefusedError(serverError("ACCEPT_TIMEOUT", `${admission.timeout} ms`)),
      lost: (cause) => serverError("REQUEST_LOST", cause?.message, { cause }),
      aborted: () => new RefusedError(serverError("SERVER_CLOSING")),
    });
    const left = Math.max(1, admission.timeout - (clock.now() - began));
    return await answer(transport, upgrade, admission, settings, from, left, signal, () => handshake.accept().rest);
  } catch (error) {
    if (error instanceof RefusedError) sayAndEnd(transport, error.response, clock);
    else transport.destroy();
    throw error;
  }
}

/**
 * The second half of a handshake, for whoever has read the request: asks the admission within `timeout` ms and makes the
 * connection. `early` gives the bytes that came behind the request. Rejects with a RefusedError that is still to be sent, or because
 * the client went away.
 */
export async function answer(
  transport: Transport,
  upgrade: UpgradeRequest,
  admission: Admission,
  settings: ConnectionSettings,
  from: RequestOrigin,
  timeout: number,
  signal: AbortSignal | undefined,
  early: () => Uint8Array,
): Promise<AcceptedConnection> {
  const waiting = new AbortController();
  const cancelTimer = settings.clock.after(timeout, () =>
    waiting.abort(serverError("AUTHORIZE_TIMEOUT", `${admission.timeout} ms`)),
  );
  const onAbort = (): void => waiting.abort(serverError("SERVER_CLOSING"));
  signal?.addEventListener("abort", onAbort);
  try {
    const { request, accepted } = await admission.admit(upgrade, from, waiting.signal);
    const agreed = { protocol: accepted.protocol, extensions: accepted.extensionsHeader };
    const connection = new Connection(transport, settings, agreed, early(), accepted.response);
    return { connection, request };
  } finally {
    cancelTimer();
    signal?.removeEventListener("abort", onAbort);
  }
}

const LINGER = 1_000; // ms that a refused client has to read its answer and hang up

/** Sends the last bytes and ends the stream; what still comes is read and dropped, so that the answer isn't lost to a reset. */
export function sayAndEnd(transport: Transport, bytes: Uint8Array, clock: Clock): void {
  const cancel = clock.after(LINGER, () => transport.destroy());
  transport.start({
    onBytes: () => undefined,
    onWritten: () => undefined,
    onEnd: () => transport.destroy(),
    onClosed: () => cancel(),
  });
  transport.write(bytes);
  transport.end();
}
