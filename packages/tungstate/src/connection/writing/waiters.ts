import type { WebSocketError } from "@tungstate/protocol";
import { handled } from "../../schedule/promises.ts";

interface Waiter {
  resolve(): void;
  reject(error: WebSocketError): void;
}

/**
 * Callers that wait for the output of one connection. Most connections never have any, and no such
 * object.
 */
export class Waiters {
  /** Functions that reject messages in fragments: one may be in progress while others wait. */
  readonly streams = new Set<(error: WebSocketError) => void>();
  private stream: Waiter | undefined;
  private room: Waiter[] | undefined;
  private flush: Waiter[] | undefined;

  /** Whether a message in fragments is in progress or waits. */
  get hasStreams(): boolean {
    return this.streams.size > 0;
  }

  /** Waits until all output was sent, for the next part of a message in fragments. */
  forStream(): Promise<void> {
    return new Promise((resolve, reject) => (this.stream = { resolve, reject }));
  }

  /** Waits until no more than `writeBufferSize` bytes wait. */
  forRoom(): Promise<void> {
    return handled(new Promise((resolve, reject) => (this.room ??= []).push({ resolve, reject })));
  }

  /** Waits until everything was sent. */
  forFlush(): Promise<void> {
    return handled(new Promise((resolve, reject) => (this.flush ??= []).push({ resolve, reject })));
  }

  wakeStream(): void {
    const { stream } = this;
    this.stream = undefined;
    stream?.resolve();
  }

  wakeRoom(): void {
    const { room } = this;
    this.room = undefined;
    for (const waiter of room ?? NOBODY) waiter.resolve();
  }

  wakeFlush(): void {
    const { flush } = this;
    this.flush = undefined;
    for (const waiter of flush ?? NOBODY) waiter.resolve();
  }

  /** The connection has ended. `lost`: before all was written. */
  end(error: WebSocketError, lost: boolean): void {
    this.stream?.reject(error);
    for (const reject of this.streams) reject(error);
    for (const waiter of [...(this.room ?? NOBODY), ...(this.flush ?? NOBODY)]) {
      if (lost) waiter.reject(error);
      else waiter.resolve();
    }
  }
}

const NOBODY: readonly Waiter[] = [];
