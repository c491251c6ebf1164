import type { WebSocketError } from "@tungstate/protocol";
import { onAbort } from "../schedule/abort-signal.ts";
import type { Clock } from "../schedule/clock.ts";
import type { Transport, TransportSink } from "../transport/transport.ts";

export interface Handshaking<T> {
  readonly clock: Clock;
  /** Time limit of the handshake in ms. */
  readonly timeout: number;
  readonly signal: AbortSignal | undefined;
  /**
   * Takes the next bytes, which it must not keep. A result ends the handshake. May throw.
   * `limit(ms)` shortens the time limit to `ms` from now.
   */
  receive(bytes: Uint8Array, limit: (ms: number) => void): T | undefined;
  /** The peer has ended its half of the stream. */
  end(): T | undefined;
  /** Errors for a timeout, an abort and the end of the stream. */
  timedOut(): WebSocketError;
  lost(cause: Error | undefined): WebSocketError;
  aborted(cause: unknown): WebSocketError;
}

/**
 * Feeds a handshake from a transport until there is a result, then pauses the transport; the next
 * `start` continues with the next byte. On failure the transport is left as it is, because the
 * caller may have a response to send.
 */
export function runHandshake<T>(transport: Transport, handshake: Handshaking<T>): Promise<T> {
  const { signal, clock, timeout } = handshake;
  return new Promise((resolve, reject) => {
    let over = false;
    const finish = (act: () => void): void => {
      if (over) return;
      over = true;
      cancelTimer();
      forget();
      transport.pause();
      act();
    };
    const attempt = (step: () => T | undefined): void => {
      if (over) return;
      try {
        const result = step();
        if (result !== undefined) finish(() => resolve(result));
      } catch (error) {
        finish(() => reject(error));
      }
    };
    const abort = (): void => finish(() => reject(handshake.aborted(signal?.reason)));
    const sink: TransportSink = {
      onBytes: (chunk, start, end) => attempt(() => handshake.receive(chunk.subarray(start, end), limit)),
      onEnd: () =>
        attempt(() => {
          const result = handshake.end();
          if (result === undefined) throw handshake.lost(undefined);
          return result;
        }),
      onClosed: (cause) => finish(() => reject(handshake.lost(cause))),
      onWritten: () => undefined,
    };
    const expire = (): void => finish(() => reject(handshake.timedOut()));
    let deadline = clock.now() + timeout;
    let cancelTimer = clock.after(timeout, expire);
    const limit = (ms: number): void => {
      if (over || clock.now() + ms >= deadline) return;
      deadline = clock.now() + ms;
      cancelTimer();
      cancelTimer = clock.after(ms, expire);
    };
    const forget = onAbort(signal, abort);
    if (signal?.aborted === true) abort();
    else transport.start(sink);
  });
}
