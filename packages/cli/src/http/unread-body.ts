import type { IncomingMessage } from "node:http";

// ms that a client may keep sending a body after the response, so that it can read the response
// before the connection closes
const LINGER = 5_000;

/**
 * Limits the time of the rest of an unread body, which node:http discards. Call it when the request
 * is answered.
 */
export function limitUnreadBody(request: IncomingMessage): void {
  const { "content-length": length = "0", "transfer-encoding": encoding } = request.headers;
  // `complete` is false for a request without a body, too, until the parser returns
  if (request.complete || (length === "0" && encoding === undefined)) return;
  setTimeout(() => {
    if (!request.complete) request.socket.destroy();
  }, LINGER).unref();
}
