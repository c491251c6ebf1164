import type { Logger } from "pino";
import { type Message, PreparedMessage, type WebSocketConnection, type WebSocketServer } from "tungstate";

/** High-water mark of a connection's output, in bytes. */
export const WRITE_BUFFER_SIZE = 128 * 1024;

/**
 * Limits of `/ws`, in bytes. A message must be small relative to the output buffer: one message
 * must not be able to disconnect every client.
 */
export const BROADCAST_LIMITS = { maxMessageSize: 1024 * 1024, maxWriteBufferSize: 8 * 1024 * 1024 };

/**
 * Limits of `/echo`, in bytes. The server stops reading while a reply is buffered, so little more
 * than one message is ever waiting.
 */
export const ECHO_LIMITS = { maxMessageSize: 16 * 1024 * 1024, maxWriteBufferSize: 20 * 1024 * 1024 };

/** Bytes sent to other processes and not yet accepted, above which senders are paused. */
const MAX_BYTES_IN_TRANSIT = 1024 * 1024;
/**
 * What a message in transit takes besides its own bytes: a call, its reply, and the work for them.
 */
const TRANSIT_OVERHEAD = 512;

/** The clients of `/ws` in all processes. */
export interface AllClients {
  /**
   * Sends a message to the clients of all processes, including this one. Resolves when more may be
   * sent.
   */
  broadcast(message: Message): Promise<void>;
  /** Sets the listener for these messages. All processes receive them in the same order. */
  onBroadcast(listener: (type: Message["type"], bytes: Uint8Array) => void): void;
  /** Sets the listener that is called when messages to this process were dropped. */
  onBroadcastLoss(listener: () => void): void;
}

/** The message is not read afterwards. */
const TRANSFER = { transfer: true };

/** Returns every message to its sender. */
export function echoMessages(echo: WebSocketServer): void {
  echo.on("connection", (connection) => {
    connection.on("message", (message) => {
      if (!connection.write(message, TRANSFER)) pauseUntilDrain(connection);
    });
  });
}

/** Broadcasts messages of `/ws` when all clients are in this process. */
export function broadcastLocally(chat: WebSocketServer): void {
  chat.on("connection", (connection) => {
    connection.on("message", (message) => {
      chat.broadcast(message);
      // The sender also receives its own messages, so it is limited to the rate at which it reads.
      // Clients that read more slowly than that are closed.
      if (connection.bufferedAmount > WRITE_BUFFER_SIZE) pauseUntilDrain(connection);
    });
  });
}

/**
 * Broadcasts messages of `/ws` to the clients of all processes. Every client receives all messages,
 * its own included, in the same order.
 */
export function broadcastToAllProcesses(chat: WebSocketServer, others: AllClients, log: Logger): void {
  const paused = new Set<WebSocketConnection>();
  let bytesInTransit = 0;
  const arrived = (size: number): void => {
    bytesInTransit -= size;
    if (bytesInTransit > MAX_BYTES_IN_TRANSIT / 2) return;
    const resumed = [...paused];
    paused.clear(); // clear first: resumed connections may be added again
    for (const connection of resumed) connection.resume();
  };
  others.onBroadcast((type, bytes) => chat.broadcast(new PreparedMessage(bytes, { type })));
  // as with a client that reads too slowly: without the close it would miss messages unnoticed
  others.onBroadcastLoss(() => {
    for (const connection of chat.connections) void connection.close(1013, "messages were lost");
  });
  chat.on("connection", (connection) => {
    connection.on("message", (message) => {
      const size = message.size + TRANSIT_OVERHEAD;
      bytesInTransit += size;
      others.broadcast(message).then(
        () => arrived(size),
        (error: unknown) => {
          log.error({ err: error }, "broadcast");
          arrived(size);
        },
      );
      if (bytesInTransit > MAX_BYTES_IN_TRANSIT) {
        connection.pause();
        paused.add(connection);
      } else if (connection.bufferedAmount > WRITE_BUFFER_SIZE) pauseUntilDrain(connection);
    });
    connection.on("close", () => paused.delete(connection));
  });
}

/** Stops reading from the peer until it has read what was written to it. */
function pauseUntilDrain(connection: WebSocketConnection): void {
  connection.pause();
  connection.once("drain", () => connection.resume());
}
