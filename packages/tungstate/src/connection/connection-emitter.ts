import type { Message } from "@tungstate/protocol";
import { Emitter } from "../schedule/emitter.ts";
import { isThenable } from "../schedule/thenable.ts";
import type { ConnectionEvents } from "./types.ts";

/** The listeners of a connection. Once silenced, only those of `error` and `close` are called. */
export abstract class ConnectionEmitter extends Emitter<ConnectionEvents> {
  private silent = false;

  /** A function of the application threw. */
  abstract handlerFailed(error: unknown): void;

  /** From now on, only listeners of `error` and `close` are called. */
  protected silenceListeners(): void {
    this.silent = true;
  }

  hasMessageListeners(): boolean {
    return this.listeners.message !== undefined;
  }

  /**
   * As `emit`, for the most frequent event: without an array of arguments and a look-up by name.
   */
  emitMessage(message: Message): void {
    const present = this.listeners.message;
    if (typeof present === "function") this.callWith(present, message);
    else {
      for (const listener of present ?? NO_LISTENERS) {
        if (this.silent) return;
        this.callWith(listener, message);
      }
    }
  }

  private callWith(listener: (message: Message) => unknown, message: Message): void {
    try {
      const result: unknown = listener(message);
      if (isThenable(result)) result.then(undefined, (error: unknown) => this.handlerFailed(error));
    } catch (error) {
      this.handlerFailed(error);
    }
  }

  protected override isSilenced(event: keyof ConnectionEvents): boolean {
    return this.silent && event !== "error" && event !== "close";
  }

  protected override onThrow(error: unknown): void {
    this.handlerFailed(error);
  }
}

const NO_LISTENERS: readonly never[] = [];
