import { ServerResponse } from "node:http";
import type { Duplex } from "node:stream";

/**
 * Calls `act` once all responses to earlier requests on this socket are written. RFC 9112 §9.3.2: a server "MUST send the corresponding
 * responses in the same order that the requests were received", but node:http emits `upgrade` for a pipelined request at once.
 */
export function behindResponses(socket: Duplex, act: () => void): void {
  const response = responseOn(socket);
  if (response === undefined) {
    act();
    return;
  }
  // node:http has taken its own listeners off the socket; without them an error would end the process, and a full buffer stop the response
  const onError = (): void => undefined;
  const onDrain = (): void => void responseOn(socket)?.emit("drain");
  socket.on("error", onError).on("drain", onDrain);
  const next = (): void => {
    const following = responseOn(socket);
    if (following !== undefined) {
      following.once("close", next);
      return;
    }
    socket.off("drain", onDrain);
    if (socket.destroyed) return; // the client has gone
    socket.off("error", onError);
    act();
  };
  response.once("close", next);
}

/** The response that is being written to a socket. It has no public name; where it can't be found, nothing is waited for. */
function responseOn(socket: Duplex): ServerResponse | undefined {
  const response: unknown = Reflect.get(socket, "_httpMessage");
  return response instanceof ServerResponse && !socket.destroyed ? response : undefined;
}
