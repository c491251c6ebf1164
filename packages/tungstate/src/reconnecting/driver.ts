import { HeaderFields, type Message } from "@tungstate/protocol";
import { checkPing } from "../connection/pings.ts";
import type { MessageData, WebSocketConnection } from "../connection/types.ts";
import { checkStream } from "../connection/writing/fragments.ts";
import { handled, notOpen, rejected } from "../schedule/promises.ts";
import type { Route } from "../transport/route.ts";
import type { TlsInfo } from "../transport/tls-info.ts";
import { type Surroundings, WebSocketConnecting } from "./connecting.ts";
import { ReconnectingDriver } from "./core/driver.ts";
import type { Provided } from "./core/provide.ts";
import type { Gap } from "./core/types.ts";
import { type ReconnectOptions, reconnectSettings } from "./options.ts";

/** Adds what only the connections of this platform have: pings, messages in parts, and what is known of the handshake and the route. */
export class WebSocketReconnectingDriver extends ReconnectingDriver<WebSocketConnection, Message, MessageData> {
  constructor(url: Provided<string | URL>, options: ReconnectOptions, surroundings: Surroundings = {}) {
    const settings = reconnectSettings(url, options);
    super(settings, new WebSocketConnecting(settings, surroundings));
  }

  get protocol(): string {
    return this.current?.protocol ?? "";
  }

  get extensions(): string {
    return this.current?.extensions ?? "";
  }

  get headers(): HeaderFields {
    return this.current?.headers ?? NO_HEADERS;
  }

  get route(): Route | undefined {
    return this.current?.route;
  }

  get tls(): TlsInfo | undefined {
    return this.current?.tls;
  }

  get localAddress(): string | undefined {
    return this.current?.localAddress;
  }

  get remoteAddress(): string | undefined {
    return this.current?.remoteAddress;
  }

  override onOpen(connection: WebSocketConnection, gap: Gap | undefined): void {
    connection.on("ping", (payload) => this.emit("ping", payload));
    connection.on("pong", (payload) => this.emit("pong", payload));
    super.onOpen(connection, gap);
  }

  sendStream(
    parts: AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>,
    type: "text" | "binary",
  ): Promise<void> {
    checkStream(parts, type);
    return handled(this.sendStreamWhenReady(parts, type));
  }

  private async sendStreamWhenReady(
    parts: AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>,
    type: "text" | "binary",
  ): Promise<void> {
    let connection = await this.connected();
    await this.sending.empty(); // what was written before goes before
    while (connection !== this.current) {
      connection = await this.connected();
      await this.sending.empty();
    }
    await connection.sendStream(parts, type);
  }

  ping(payload?: Uint8Array | string): Promise<number> {
    const { connection } = this;
    if (connection !== undefined) return connection.ping(payload);
    checkPing(payload);
    return rejected(this.writable ? notOpen("there is no connection at the moment") : this.notOpen());
  }
}

/** While there is no connection. */
const NO_HEADERS = new HeaderFields();
