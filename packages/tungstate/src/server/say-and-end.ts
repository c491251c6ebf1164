import type { Clock } from "../schedule/clock.ts";
import type { Transport } from "../transport/transport.ts";

const LINGER = 1_000; // ms that a refused client has to read its answer and hang up

/**
 * Sends the last bytes and ends the stream. Bytes that still arrive are read and dropped, so that a
 * reset does not destroy the response.
 */
export function sayAndEnd(transport: Transport, bytes: Uint8Array, clock: Clock): void {
  const cancel = clock.after(LINGER, () => transport.destroy());
  transport.start({
    onBytes: () => undefined,
    onWritten: () => undefined,
    onEnd: () => undefined,
    onClosed: () => cancel(),
  });
  transport.write(bytes);
  transport.end();
}
