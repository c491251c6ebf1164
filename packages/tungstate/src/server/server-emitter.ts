import { driverOf } from "../connection/connection.ts";
import { Emitter } from "../schedule/emitter.ts";
import type { ServerEvents } from "./options.ts";
import { endpointError } from "../errors.ts";

/** The listeners of a server, and what happens to errors of the application. */
export class ServerEmitter extends Emitter<ServerEvents> {
  override emit<E extends keyof ServerEvents>(event: E, ...args: ServerEvents[E]): boolean {
    return super.emit(event, ...args);
  }

  /** Reports an error of the application: to the `error` listeners, else as a warning. */
  override onThrow(error: unknown, event?: keyof ServerEvents, args?: ServerEvents[keyof ServerEvents]): void {
    // the message may have no reader
    const driver = event === "connection" ? driverOf(args?.[0]) : undefined;
    if (driver !== undefined) {
      if (driver.excuses(error)) return;
      driver.endFor(endpointError("HANDLER_FAILED", undefined, { cause: error }));
    }
    // an error of an `error` listener is not emitted to it
    if (event !== "error" && this.listenerCount("error") > 0) this.emit("error", error);
    else process.emitWarning(error instanceof Error ? error : String(error), "TungstateHandlerWarning");
  }
}
