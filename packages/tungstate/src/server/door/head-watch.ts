import { formatResponse, refusalFor } from "@tungstate/protocol";
import type { Socket } from "node:net";
import { NOWHERE, type Timed } from "../../schedule/deadlines.ts";
import { serverError } from "../errors.ts";
import type { Arrivals } from "./arrivals.ts";

/**
 * Limits the time of a first request that was passed to the HTTP server because the protocol's
 * parser rejects its head. At the deadline, the connection is ended with 408, unless the head is
 * complete.
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
    // node:http sets `_httpMessage` of the socket as soon as the head is complete, and removes the
    // parser from a socket that it no longer owns
    const isReading = typeof Reflect.get(socket, "parser") === "object" && Reflect.get(socket, "parser") !== null;
    const hasResponse = socket.bytesWritten > 0 || Boolean(Reflect.get(socket, "_httpMessage"));
    if (!isReading || hasResponse || socket.destroyed) return;
    const error = serverError("ACCEPT_TIMEOUT", `${arrivals.timeout} ms`);
    socket.end(formatResponse(refusalFor(error)), () => socket.destroy());
    arrivals.onRefused(error);
  }
}
