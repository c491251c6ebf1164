import { formatResponse, refusalFor } from "@tungstate/protocol";
import type { Socket } from "node:net";
import { NOWHERE, type Timed } from "../../schedule/deadlines.ts";
import { serverError } from "../errors.ts";
import type { Arrivals } from "./arrivals.ts";

/**
 * Limits the time of a first request whose head our parser does not understand, and which the HTTP
 * server therefore reads itself: at the deadline its connection is ended with 408, unless the head
 * is complete.
 */
export function watchHead(socket: Socket, since: number, arrivals: Arrivals): void {
  const watch = new HeadWatch(socket, since, arrivals);
  arrivals.settings.deadlines.watch(watch);
  socket.once("close", () => arrivals.settings.deadlines.forget(watch));
}

class HeadWatch implements Timed {
  readonly deadline: number;
  slot = NOWHERE; // as a Timed
  private readonly socket: Socket;
  private readonly arrivals: Arrivals;

  constructor(socket: Socket, since: number, arrivals: Arrivals) {
    this.socket = socket;
    this.arrivals = arrivals;
    this.deadline = since + arrivals.timeout;
  }

  onDeadline(): void {
    const { socket, arrivals } = this;
    // node:http sets the response of a request on its socket as soon as the head is complete, and
    // takes the parser off a socket that is no longer its own
    const isReading = typeof Reflect.get(socket, "parser") === "object" && Reflect.get(socket, "parser") !== null;
    const hasResponse = socket.bytesWritten > 0 || Boolean(Reflect.get(socket, "_httpMessage"));
    if (!isReading || hasResponse || socket.destroyed) return;
    const error = serverError("ACCEPT_TIMEOUT", `${arrivals.timeout} ms`);
    socket.end(formatResponse(refusalFor(error)), () => socket.destroy());
    arrivals.onRefused(error);
  }
}
