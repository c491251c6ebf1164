import type { WebSocketError } from "@tungstate/protocol";
import { onAbort } from "../schedule/abort-signal.ts";
import type { Clock } from "../schedule/clock.ts";
import type { Transport, TransportSink } from "../transport/transport.ts";

export interface Handshaking<T> {
  readonly clock: Clock;
  /** ms */
  readonly timeout: number;
  readonly signal: AbortSignal | undefined;
  /** The next bytes, borrowed; a result ends the handshake. May throw. `limit(ms)`: it may take no longer than `ms` from now. */
  receive(bytes: Uint8Array, limit: (ms: number) => void): T | undefined;
  /** The peer has ended its half. */
  end(): T | undefined;
  /** The errors for what can happen on the way. */
  timedOut(): WebSocketError;
  lost(cause: Error | undefined): WebSocketError;
  aborted(cause: unknown): WebSocketError;
}

/**
 * Feeds a handshake from a transport until it has a result. The transport is then paused: whoever starts it next gets the next
 * byte. When it fails, the transport is left as it is; the caller knows whether there is something to send yet.
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
