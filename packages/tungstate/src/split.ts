import type { Message } from "@tungstate/protocol";
import type { MessageData, WebSocketConnection } from "./types.ts";

/**
 * The two halves of a connection as Web Streams, for two places that need not know of each other. Reading takes one message at a time, so
 * that the connection's own limits keep the peer waiting; ending the writable closes the connection with 1000, and
 * aborting it, or cancelling the readable, drops it.
 */
export function splitConnection(connection: WebSocketConnection): {
  readable: ReadableStream<Message>;
  writable: WritableStream<MessageData>;
} {
  const messages = connection[Symbol.asyncIterator]();
  const readable = new ReadableStream<Message>(
    {
      async pull(controller) {
        const { done, value } = await messages.next();
        if (done !== true) {
          controller.enqueue(value);
          return;
        }
        const { error } = await connection.closed;
        if (error === undefined) controller.close();
        else controller.error(error);
      },
      cancel: () => connection.terminate(),
    },
    { highWaterMark: 0 },
  );
  const writable = new WritableStream<MessageData>({
    write: (data) => connection.send(data),
    async close() {
      await connection.close();
    },
    abort: () => connection.terminate(),
  });
  return { readable, writable };
}
