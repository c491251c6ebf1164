import { clientOf, HandshakeRequest, PreparedMessage, type WebSocketConnection, WebSocketError } from "tungstate";
import type { ClientSession } from "../settings/client-session.ts";
import { type CodeAndReason, DISCONNECTS } from "../codes.ts";
import type { HubConnection, SharedMessage } from "../output/connection.ts";
import type { Hub } from "./hub.ts";
import { protobufDisconnect } from "../protocol/protobuf-refusal.ts";

/** The hub's connection over a WebSocketConnection. */
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
      // a closing connection accepts no more and will report its end; otherwise this exceeds its
      // write buffer
      if (error.code !== "NOT_OPEN") this.close(DISCONNECTS.WRITE_ERROR.code, DISCONNECTS.WRITE_ERROR.reason);
      return true;
    }
  }
}

/**
 * Subprotocols for the option `protocols` of the server in front of the hub. A client that offers
 * one of them fails if none is chosen, and reconnects forever. The hub closes clients that speak
 * Protobuf with 3506.
 */
export const HUB_SUBPROTOCOLS = ["centrifuge-json", "centrifuge-protobuf"] as const;

const OPEN_BRACE = 0x7b;
const PROTOBUF_ID = 0x08;

const NO_PROTOBUF: CodeAndReason = {
  code: DISCONNECTS.INAPPROPRIATE_PROTOCOL.code,
  reason: `${DISCONNECTS.INAPPROPRIATE_PROTOCOL.reason}: this server speaks JSON in text messages, not Protobuf`,
};

/**
 * Hands a WebSocket connection to the hub, which reads it from now on. `context` is available to
 * the application later. If it is the HandshakeRequest, limits of anonymous clients count by its
 * `clientAddress`, otherwise by the connection's `remoteAddress`. Throws if the hub has not been
 * started.
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

/**
 * Whether a binary message has JSON. In Protobuf, the second byte of a command is the tag of its
 * id, or a part of its length.
 */
function isJson(bytes: Uint8Array): boolean {
  return bytes[0] === OPEN_BRACE && bytes[1] !== PROTOBUF_ID;
}
