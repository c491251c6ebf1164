import type { WebSocketConnection } from "../connection/types.ts";
import { nextTask } from "./tasks.ts";

/**
 * Counts bytes of application data that were passed to `send` and are not yet transmitted. Within
 * one event-loop tick the number only increases. Bytes that were not transmitted before the end of
 * the connection still count.
 */
export class BufferedAmount {
  #connection: WebSocketConnection | undefined;
  /** Bytes since the beginning: given, written to the connection, and transmitted. */
  #given = 0;
  #written = 0;
  #transmitted = 0;
  /** Whether something was given in this tick. */
  #isFresh = false;
  #isWatching = false;

  open(connection: WebSocketConnection): void {
    this.#connection = connection;
  }

  get value(): number {
    const waiting = this.#given - this.#written;
    const sending = this.#written - this.#transmitted;
    const connection = this.#connection;
    if (this.#isFresh || connection === undefined || connection.state === "closed") return waiting + sending;
    // a compressed message has fewer bytes in the connection's buffer than it had for the
    // application
    if (connection.extensions !== "") return waiting + sending;
    return waiting + Math.min(sending, connection.bufferedAmount);
  }

  /** `send` was called with so many bytes. */
  add(bytes: number): void {
    this.#given += bytes;
    this.#isFresh = true;
    this.#watch();
  }

  /** The connection has accepted so many of them. */
  wrote(bytes: number): void {
    this.#written += bytes;
    this.#watch();
  }

  #watch(): void {
    if (this.#isWatching) return;
    this.#isWatching = true;
    void this.#untilTransmitted();
  }

  async #untilTransmitted(): Promise<void> {
    do {
      await nextTask();
      this.#isFresh = false;
      const written = this.#written;
      if (written > this.#transmitted && (await this.#isFlushed())) this.#transmitted = written;
    } while (this.#isFresh || (this.#written > this.#transmitted && this.#connection?.state !== "closed"));
    this.#isWatching = false;
  }

  async #isFlushed(): Promise<boolean> {
    const connection = this.#connection;
    if (connection === undefined) return false;
    const wasEmpty = connection.bufferedAmount === 0 && connection.state !== "closed";
    try {
      await connection.flush();
      return true;
    } catch {
      // it is no longer open: with a closing handshake, everything was sent before its Close
      return wasEmpty || (connection.state === "closed" && (await connection.closed).clean);
    }
  }
}
