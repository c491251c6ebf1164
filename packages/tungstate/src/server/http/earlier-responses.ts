import { ServerResponse } from "node:http";
import type { Duplex } from "node:stream";

const MAX_EARLY_BYTES = 64 * 1024; // bytes; RFC 6455 §4.1 allows none before the answer

/**
 * Calls `act` once all responses to earlier requests on this socket are written. RFC 9112 §9.3.2: a
 * server "MUST send the corresponding responses in the same order that the requests were received",
 * but node:http emits `upgrade` for a pipelined request at once. `act` gets `head` and the bytes
 * that came meanwhile. It is not called if the client goes, or if a response closes the connection
 * (§9.6: a server that sends "close" "MUST NOT process any further requests received on that
 * connection").
 */
export function behindResponses(socket: Duplex, head: Buffer, act: (head: Buffer) => void): void {
  const response = responseOn(socket);
  if (response === undefined) {
    act(head);
    return;
  }
  // node:http has taken its own listeners off the socket; without them an error would end the
  // process, a full buffer would stop the response, and the end of the client would not be noticed
  const early = [head];
  let size = head.length;
  const onError = (): void => undefined;
  const onDrain = (): void => void responseOn(socket)?.emit("drain");
  const onData = (chunk: Buffer): void => {
    size += chunk.length;
    if (size <= MAX_EARLY_BYTES) early.push(chunk);
    else socket.destroy();
  };
  const onEnd = (): void => void socket.end(); // as node:http does
  socket.on("error", onError).on("drain", onDrain).on("data", onData).on("end", onEnd).resume();
  const next = (): void => {
    const following = responseOn(socket);
    if (following !== undefined) {
      following.once("close", next);
      return;
    }
    socket.off("drain", onDrain);
    if (!socket.writable) return;
    socket.pause().off("data", onData).off("end", onEnd).off("error", onError);
    act(Buffer.concat(early));
  };
  response.once("close", next);
}

/**
 * The response that is being written to a socket. It has no public name; where it can't be found,
 * nothing is waited for.
 */
function responseOn(socket: Duplex): ServerResponse | undefined {
  const response: unknown = Reflect.get(socket, "_httpMessage");
  return response instanceof ServerResponse && !socket.destroyed ? response : undefined;
}
