import type { Duplex } from "node:stream";

const waiting = new WeakMap<Duplex, (() => void)[]>();

/** Calls `callback` when the connection on this stream gets another owner (`handOver`). */
export function onHandover(stream: Duplex, callback: () => void): void {
  const callbacks = waiting.get(stream);
  if (callbacks === undefined) waiting.set(stream, [callback]);
  else callbacks.push(callback);
}

/**
 * Marks that the connection on this stream has a new owner: a WebSocketServer that answers its
 * upgrade request, or an `upgrade` listener of other code. The port that accepted it, and the HTTP
 * server behind that port, do not wait for its end when they close.
 */
export function handOver(stream: Duplex): void {
  const callbacks = waiting.get(stream) ?? [];
  waiting.delete(stream);
  for (const callback of callbacks) callback();
}
