import { clientOf, HandshakeRequest, PreparedMessage, type WebSocketConnection, WebSocketError } from "tungstate";
import type { ClientSession } from "../settings/client-session.ts";
import { type CodeAndReason, DISCONNECTS } from "../codes.ts";
import type { HubConnection, SharedMessage } from "../output/connection.ts";
import type { Hub } from "./hub.ts";
import { protobufDisconnect } from "../protocol/protobuf-refusal.ts";

/** A WebSocketConnection as the hub's connection. */
class SocketConnection implements HubConnection {
  private readonly socket: WebSocketConnection;
  private readonly request: HandshakeRequest | undefined;

  constructor(socket: WebSocketConnection, request: HandshakeRequest | undefined) {
    this.socket = socket;
    this.request = request;
  }

  get address(): string | undefined {
    const address = this.request === undefined ? this.socket.remoteAddress : this.request.clientAddress;
    return address === undefined ? undefined : clientOf(address);
  }

  get bytesReceived(): number {
    return this.socket.stats.bytesReceived;
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
 * The subprotocols for the option `protocols` of the server that the hub is behind. A client that offers one of them fails when none is chosen,
 * and reconnects forever. The hub closes connections of clients that speak Protobuf with 3506.
 */
export const HUB_SUBPROTOCOLS = ["centrifuge-json", "centrifuge-protobuf"] as const;

const OPEN_BRACE = 0x7b;
const PROTOBUF_ID = 0x08;

const NO_PROTOBUF: CodeAndReason = {
  code: DISCONNECTS.INAPPROPRIATE_PROTOCOL.code,
  reason: `${DISCONNECTS.INAPPROPRIATE_PROTOCOL.reason}: this server speaks JSON in text messages, not Protobuf`,
};

/**
 * Hands a WebSocket connection over to the hub, which reads it from now on. `context` is what the application wants to know of
 * it later, such as the request. If it is the HandshakeRequest, limits for anonymous clients are by its `clientAddress`; else by the
 * connection's `remoteAddress`. Throws where the hub has not been started.
 */
export function attachSocket(hub: Hub, socket: WebSocketConnection, context?: unknown): ClientSession {
  const connection = new SocketConnection(socket, context instanceof HandshakeRequest ? context : undefined);
  const incoming = hub.accept(connection, context);
  let speaksJson = false;
  socket.on("drain", () => incoming.drained());
  socket.on("close", () => incoming.closed());
  socket.on("message", (message) => {
    if (message.type === "text") {
      speaksJson = true;
      incoming.receive(message.text, message.size);
      return;
    }
    const why = isJson(message.bytes) ? DISCONNECTS.INAPPROPRIATE_PROTOCOL : NO_PROTOBUF;
    if (!speaksJson && why === NO_PROTOBUF && socket.state === "open") socket.write(protobufDisconnect(why));
    incoming.session.disconnect(why.code, why.reason);
  });
  return incoming.session;
}

/** JSON in a binary message. In Protobuf the second byte of a command is the tag of its id, or more of its length. */
function isJson(bytes: Uint8Array): boolean {
  return bytes[0] === OPEN_BRACE && bytes[1] !== PROTOBUF_ID;
}
