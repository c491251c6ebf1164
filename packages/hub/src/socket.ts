import { PreparedMessage, type WebSocketConnection, WebSocketError } from "tungstate";
import type { ClientSession } from "./client-session.ts";
import { DISCONNECTS } from "./codes.ts";
import type { HubConnection, SharedMessage } from "./connection.ts";
import type { Hub } from "./hub.ts";

/** A WebSocketConnection as the hub's connection. */
class SocketConnection implements HubConnection {
  private readonly socket: WebSocketConnection;

  constructor(socket: WebSocketConnection) {
    this.socket = socket;
  }

  write(text: string): boolean {
    return this.send(text);
  }

  writeShared(message: SharedMessage): boolean {
    const { prepared } = message;
    if (prepared instanceof PreparedMessage) return this.send(prepared);
    const made = new PreparedMessage(message.text);
    message.prepared = made;
    return this.send(made);
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  close(code: number, reason: string): void {
    void this.socket.close(code, reason);
  }

  private send(data: string | PreparedMessage): boolean {
    try {
      return this.socket.write(data);
    } catch (error) {
      if (!(error instanceof WebSocketError)) throw error;
      // what is closing takes no more, and will say when it has closed; else this was more than its write buffer may hold
      if (error.code !== "NOT_OPEN") this.close(DISCONNECTS.WRITE_ERROR.code, DISCONNECTS.WRITE_ERROR.reason);
      return true;
    }
  }
}

/**
 * Hands a WebSocket connection over to the hub, which reads it from now on. `context` is what the application wants to know of
 * it later, such as the request. Throws where the hub has not been started.
 */
export function attachSocket(hub: Hub, socket: WebSocketConnection, context?: unknown): ClientSession {
  const connection = new SocketConnection(socket);
  const incoming = hub.accept(connection, context);
  socket.on("drain", () => incoming.drained());
  socket.on("close", () => incoming.closed());
  socket.on("message", (message) => {
    if (message.type === "text") incoming.receive(message.text);
    // the protocol has a binary variant, which is not offered
    else connection.close(DISCONNECTS.INAPPROPRIATE_PROTOCOL.code, DISCONNECTS.INAPPROPRIATE_PROTOCOL.reason);
  });
  return incoming.session;
}
