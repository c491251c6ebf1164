import type { Clock } from "../schedule/clock.ts";
import type { Transport } from "../transport/transport.ts";

const LINGER = 1_000; // ms for a refused client to read the response and close the connection

/**
 * Sends the last bytes and ends the stream. Received bytes are dropped: unread bytes would cause a
 * TCP reset, which could discard the response.
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
