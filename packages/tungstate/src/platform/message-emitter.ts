import { Emitter } from "../schedule/emitter.ts";
import type { Received } from "./received.ts";

/**
 * The events of a connection over a platform's WebSocket. Messages go to the listeners of `message`
 * while there are any, and otherwise wait to be read.
 */
export abstract class MessageEmitter<
  Events extends { [E in keyof Events]: unknown[] } & { message: unknown[] },
> extends Emitter<Events> {
  protected abstract readonly received: Received;

  override on<E extends keyof Events>(event: E, listener: (...args: Events[E]) => unknown): this {
    super.on(event, listener);
    // after the other `on` calls of this task
    if (event === "message") queueMicrotask(() => this.received.listen(this.listenerCount("message") > 0));
    return this;
  }

  override off<E extends keyof Events>(event: E, listener: (...args: Events[E]) => unknown): this {
    super.off(event, listener);
    if (this.listenerCount("message") === 0) this.received.listen(false);
    return this;
  }

  pause(): void {
    this.received.pause(true);
  }

  resume(): void {
    this.received.pause(false);
  }
}
