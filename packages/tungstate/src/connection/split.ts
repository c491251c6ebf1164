import type { Message } from "@tungstate/protocol";
import type {
  ReadableStreamGetReaderOptions,
  ReadableStreamReader,
  ReadableStreamReadResult,
  StreamPipeOptions,
} from "node:stream/web";
import { handled, notOpen } from "../schedule/promises.ts";
import type { MessageData, WebSocketConnection } from "./types.ts";

/** What a connection needs to be split. */
export type Splittable = Pick<
  WebSocketConnection,
  typeof Symbol.asyncIterator | "closed" | "send" | "close" | "terminate"
>;

/**
 * The two halves of a connection as Web Streams, for independent use. The readable takes one
 * message at a time, so that the limits of the connection apply to the peer. Closing the writable
 * closes the connection with 1000. Aborting it, or cancelling the readable, terminates the
 * connection. After the end of the connection, writes reject with NOT_OPEN.
 */
export function splitConnection(connection: Splittable): {
  readable: ReadableStream<Message>;
  writable: WritableStream<MessageData>;
} {
  const messages = connection[Symbol.asyncIterator]();
  const readable = new MessageReadable(
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
  let closing = false;
  const writable = new MessageWritable({
    start(controller) {
      void connection.closed.then(({ error }) => {
        if (!closing) controller.error(notOpen("it has ended", error));
      });
    },
    write: (data) => connection.send(data),
    async close() {
      closing = true;
      await connection.close();
    },
    abort: () => connection.terminate(),
  });
  return { readable, writable };
}

// Streams of the platform, their readers and writers return promises that cause unhandled
// rejections if a caller ignores them. These classes return the same promises, marked as handled.
// The platform itself marks `ready` and `closed`.

class MessageReadable extends ReadableStream<Message> {
  override getReader(options: { mode: "byob" }): ReadableStreamBYOBReader;
  override getReader(): ReadableStreamDefaultReader<Message>;
  override getReader(options?: ReadableStreamGetReaderOptions): ReadableStreamReader<Message>;
  override getReader(options?: ReadableStreamGetReaderOptions): ReadableStreamReader<Message> {
    return options?.mode === undefined ? new MessageReader(this) : super.getReader(options);
  }

  override pipeTo(destination: WritableStream<Message>, options?: StreamPipeOptions): Promise<void> {
    return handled(super.pipeTo(destination, options));
  }

  override cancel(reason?: unknown): Promise<void> {
    return handled(super.cancel(reason));
  }
}

class MessageReader extends ReadableStreamDefaultReader<Message> {
  override read(): Promise<ReadableStreamReadResult<Message>> {
    return handled(super.read());
  }

  override cancel(reason?: unknown): Promise<void> {
    return handled(super.cancel(reason));
  }
}

class MessageWritable extends WritableStream<MessageData> {
  override getWriter(): WritableStreamDefaultWriter<MessageData> {
    return new MessageWriter(this);
  }

  override close(): Promise<void> {
    return handled(super.close());
  }

  override abort(reason?: unknown): Promise<void> {
    return handled(super.abort(reason));
  }
}

class MessageWriter extends WritableStreamDefaultWriter<MessageData> {
  override write(data: MessageData): Promise<void> {
    return handled(super.write(data));
  }

  override close(): Promise<void> {
    return handled(super.close());
  }

  override abort(reason?: unknown): Promise<void> {
    return handled(super.abort(reason));
  }
}
