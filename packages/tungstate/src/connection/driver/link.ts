import {
  type HeaderFields,
  type IncomingMessages,
  type Message,
  type MessageCodec,
  type PreparedMessage,
  Protocol,
  type ProtocolSink,
  WebSocketError,
} from "@tungstate/protocol";
import type { BroadcastQueue, Subscriber } from "../../broadcast/broadcast-queue.ts";
import { endpointError } from "../../errors.ts";
import type { Route } from "../../transport/route.ts";
import type { TlsInfo } from "../../transport/tls-info.ts";
import type { Transport } from "../../transport/transport.ts";
import { ConnectionEmitter } from "../connection-emitter.ts";
import type { ConnectionSettings } from "../options.ts";
import { packHeaders, unpackHeaders } from "../packed-headers.ts";
import type { CloseInfo, ConnectionState, ConnectionStats } from "../types.ts";
import type { WritingHost } from "../writing/flushing.ts";
import { Writing } from "../writing/writing.ts";

/** How the byte stream of a connection came about, as far as it is known. */
export interface Way {
  readonly route?: Route | undefined;
  readonly tls?: TlsInfo | undefined;
}

/** What a handshake has agreed on. */
export interface Agreed extends Way {
  readonly protocol: string;
  readonly extensions: string;
  /** Where permessage-deflate is in use. */
  readonly codec?: MessageCodec | undefined;
}

/**
 * A protocol, a transport and the writing half between them. It has the values of the connection's
 * getters, and takes the frames of broadcasts.
 */
export abstract class Link extends ConnectionEmitter implements ProtocolSink, WritingHost, Subscriber {
  cursor = 0; // as a Subscriber
  protected readonly writing: Writing;
  protected readonly core: Protocol;
  protected readonly transport: Transport;
  readonly settings: ConnectionSettings;
  protected readonly agreed: Agreed;
  /** Received header fields, packed until they are read. */
  private head: string | HeaderFields;
  readonly incoming: IncomingMessages | undefined;
  /** How the connection ended. */
  protected over: CloseInfo | undefined;
  protected bytesReceived = 0;

  constructor(transport: Transport, settings: ConnectionSettings, agreed: Agreed, headers: HeaderFields) {
    super();
    this.transport = transport;
    this.settings = settings;
    this.agreed = agreed;
    this.head = packHeaders(headers);
    const { codec } = agreed;
    const { protocol, deflate } = settings;
    this.core = new Protocol(codec === undefined ? protocol : (deflate?.protocol ?? protocol), this, codec);
    this.incoming = this.core.incoming;
    this.writing = new Writing(this.core, transport, settings, this);
  }

  abstract onMessage(message: Message): void;
  abstract onOutputSent(): void;
  abstract countHeld(): void;
  abstract failNow(error: WebSocketError): void;
  /** Broadcasts of the server that the connection belongs to. */
  protected abstract get broadcasts(): BroadcastQueue | undefined;

  get protocol(): string {
    return this.agreed.protocol;
  }

  get extensions(): string {
    return this.agreed.extensions;
  }

  get headers(): HeaderFields {
    if (typeof this.head === "string") this.head = unpackHeaders(this.head);
    return this.head;
  }

  get route(): Route | undefined {
    return this.agreed.route;
  }

  get tls(): TlsInfo | undefined {
    return this.agreed.tls;
  }

  get state(): ConnectionState {
    if (this.over !== undefined) return "closed";
    return this.core.state === "open" && this.writing.writable ? "open" : "closing";
  }

  get bufferedAmount(): number {
    const { bufferedAmount, writable } = this.writing;
    const { broadcasts } = this;
    if (broadcasts === undefined || !writable) return bufferedAmount;
    return bufferedAmount + broadcasts.pendingSize(this, this.settings.maxWriteBufferSize - bufferedAmount);
  }

  get localAddress(): string | undefined {
    return this.transport.localAddress;
  }

  get remoteAddress(): string | undefined {
    return this.transport.remoteAddress;
  }

  get stats(): ConnectionStats {
    const { bytesReceived, core } = this;
    const { messagesReceived } = core;
    const { bytesSent, writable } = this.writing;
    const messagesSent = this.writing.messagesSent + (writable ? (this.broadcasts?.pendingCount(this) ?? 0) : 0);
    return { messagesReceived, messagesSent, bytesReceived, bytesSent };
  }

  /** Encodes pending broadcasts, because they precede what is sent next. */
  protected catchUp(): void {
    const { broadcasts } = this;
    if (broadcasts !== undefined && this.cursor < broadcasts.count) broadcasts.catchUp(this);
  }

  canWriteFrames(): boolean {
    return this.writing.canWriteFrames;
  }

  writeFrames(frames: Uint8Array, count: number): boolean {
    return this.writing.writeFrames(frames, count);
  }

  writeMessage(message: PreparedMessage): void {
    if (this.core.error !== undefined || !this.writing.writable) return;
    try {
      this.writing.write(message);
    } catch (error) {
      // the only other error: the message is compressed, and this connection has no compression
      const full = error instanceof WebSocketError && error.code === "WRITE_BUFFER_FULL";
      // at once, because no message may follow one that is missing
      this.failNow(endpointError(full ? "SLOW_CONSUMER" : "HANDLER_FAILED", undefined, { cause: error }));
    }
  }

  isBehind(more: number): boolean {
    return this.state === "open" && this.writing.isBehind(more);
  }

  emitDrain(): void {
    this.emit("drain");
  }
}
