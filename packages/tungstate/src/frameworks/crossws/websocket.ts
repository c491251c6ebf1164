import type { WebSocketConnection } from "../../connection/types.ts";

const READY_STATES = { connecting: 0, waiting: 0, open: 1, closing: 2, closed: 3 };

/** `peer.websocket`: the members of a WebSocket that a server's connection has. */
export class PeerWebSocket {
  /** Decides about `message.data`; "" for text as a string and bytes as a Uint8Array. */
  binaryType = "";
  /** The URL of the request, with the scheme ws: or wss:. */
  readonly url: string;
  readonly #connection: WebSocketConnection;

  constructor(connection: WebSocketConnection, url: string) {
    this.#connection = connection;
    this.url = url.replace(/^http/, "ws");
  }

  get protocol(): string {
    return this.#connection.protocol;
  }

  get extensions(): string {
    return this.#connection.extensions;
  }

  get readyState(): number {
    return READY_STATES[this.#connection.state];
  }

  get bufferedAmount(): number {
    return this.#connection.bufferedAmount;
  }

  send(data: string | ArrayBuffer | ArrayBufferView): void {
    this.#connection.write(data);
  }

  close(code?: number, reason?: string): void {
    void this.#connection.close(code, reason);
  }
}
