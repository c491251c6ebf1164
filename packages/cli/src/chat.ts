import type { Logger } from "pino";
import { type Message, PreparedMessage, type WebSocketConnection, type WebSocketServer } from "tungstate";

/** Bytes that wait before a connection's sender has to. */
export const WRITE_BUFFER_SIZE = 128 * 1024;

/** Bytes. A message that goes to all has to be small against what may wait for each, or one of them could close everybody. */
export const BROADCAST_LIMITS = { maxMessageSize: 1024 * 1024, maxWriteBufferSize: 8 * 1024 * 1024 };

/** An echo reads no further than it is read from, so that it never has much more to write than one message. */
export const ECHO_LIMITS = { maxMessageSize: 16 * 1024 * 1024, maxWriteBufferSize: 20 * 1024 * 1024 };

/** Bytes that may be on their way to other processes before their senders have to wait. */
const MAX_UNDER_WAY = 1024 * 1024;

/** Clients of `/ws` in other processes. */
export interface OtherClients {
  /** A message for the clients of all processes, this one included. Resolves when more may be sent. */
  broadcast(message: Message): Promise<void>;
  /** Who is told of such messages, in the same order in all processes. */
  onBroadcast(listener: (type: Message["type"], bytes: Uint8Array) => void): void;
  /** Who is told that such messages were lost on their way to this process. */
  onBroadcastLoss(listener: () => void): void;
}

/** `/echo` */
export function echoAll(echo: WebSocketServer): void {
  echo.on("connection", (connection) => {
    connection.on("message", (message) => {
      if (!connection.write(message)) pauseUntilDrain(connection);
    });
  });
}

/** `/ws`, where all clients are in this process. */
export function talkHere(chat: WebSocketServer): void {
  chat.on("connection", (connection) => {
    connection.on("message", (message) => {
      chat.broadcast(message);
      // It gets all that it sends, and so may send as fast as it reads. Others who read more slowly than that are closed.
      if (connection.bufferedAmount > WRITE_BUFFER_SIZE) pauseUntilDrain(connection);
    });
  });
}

/** `/ws`, with clients in other processes: all hear of all messages in one order, each its own ones too. */
export function talkEverywhere(chat: WebSocketServer, others: OtherClients, log: Logger): void {
  const waiting = new Set<WebSocketConnection>();
  let underWay = 0;
  const arrived = (size: number): void => {
    underWay -= size;
    if (underWay > MAX_UNDER_WAY / 2) return;
    const before = [...waiting];
    waiting.clear(); // first: what has been held back may fill it again
    for (const connection of before) connection.resume();
  };
  others.onBroadcast((type, bytes) => chat.broadcast(new PreparedMessage(bytes, { type })));
  // as for a client that is too slow itself: it would miss a message, and not know
  others.onBroadcastLoss(() => {
    for (const connection of chat.connections) void connection.close(1013, "messages were lost");
  });
  chat.on("connection", (connection) => {
    connection.on("message", (message) => {
      const { size } = message;
      underWay += size;
      others.broadcast(message).then(
        () => arrived(size),
        (error: unknown) => {
          log.error({ err: error }, "broadcast");
          arrived(size);
        },
      );
      if (underWay > MAX_UNDER_WAY) {
        connection.pause();
        waiting.add(connection);
      } else if (connection.bufferedAmount > WRITE_BUFFER_SIZE) pauseUntilDrain(connection);
    });
    connection.on("close", () => waiting.delete(connection));
  });
}

/** While it does not read what was written, it is not read from. */
function pauseUntilDrain(connection: WebSocketConnection): void {
  connection.pause();
  connection.once("drain", () => connection.resume());
}
