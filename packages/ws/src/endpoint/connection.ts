import type { EventEmitter } from "node:events";
import process from "node:process";
import type { Duplex } from "node:stream";
import { OPCODE } from "@tungstate/protocol";
import { type Callback, CLOSED, CLOSING, EMPTY_BUFFER, NO_STATUS, OPEN } from "../constants.ts";
import { codecOf } from "../deflate/engines.ts";
import type { PerMessageDeflate } from "../deflate/permessage-deflate.ts";
import { closeCodeOf } from "../errors.ts";
import { MessageReader, type MessageSink, readOptions } from "../frames/message-reader.ts";
import { checkControl, closePayload } from "../frames/sender.ts";
import { type GenerateMask, maskingSender, plainSender, senderWithKeys } from "../runtime.ts";
import { Channel, type ChannelHost } from "./channel.ts";
import { Heartbeat, type Policies, type Watched } from "./policies.ts";
import { MessageWriter, type SendOptions, type WriterHost } from "./message-writer.ts";

/** The members of a WebSocket that its connection uses. The names are those of ws. */
export interface Endpoint extends EventEmitter {
  readonly readyState: number;
  _readyState: number;
  _isServer: boolean;
  _paused: boolean;
  _closeCode: number;
  _closeMessage: Buffer;
  _closeFrameReceived: boolean;
  _closeFrameSent: boolean;
  _closeTimeout: number | undefined;
  _closeTimer: NodeJS.Timeout | null;
  _errorEmitted: boolean;
  _autoPong: boolean;
  _maxPendingAutoPongs: number;
  close(code?: number, reason?: Buffer): void;
  pong(data: Buffer, mask: boolean, callback: Callback): void;
  terminate(): void;
  emitClose(): void;
}

/** Options of `setSocket`. */
export interface SocketOptions {
  readonly allowSynchronousEvents?: boolean | undefined;
  readonly generateMask?: GenerateMask | undefined;
  readonly maxBufferedChunks?: number | undefined;
  readonly maxFragments?: number | undefined;
  readonly maxPayload?: number | undefined;
  readonly skipUTF8Validation?: boolean | undefined;
  readonly tungstate?: Policies | undefined;
  /** The response of a server, which is sent first. */
  readonly greeting?: string | undefined;
}

/** A WebSocket between its handshake and the end of its stream. */
export class Connection implements ChannelHost, MessageSink, WriterHost, Watched {
  readonly channel: Channel;
  readonly reader: MessageReader;
  readonly writer: MessageWriter;
  private readonly endpoint: Endpoint;
  private pendingPongs = 0;
  private pongSent: Callback | undefined;
  private isOver = false;
  private readonly heartbeat: Heartbeat | undefined;
  private readonly maxWriteBufferSize: number | undefined;

  constructor(
    endpoint: Endpoint,
    stream: Duplex,
    head: Uint8Array,
    extension: PerMessageDeflate | undefined,
    options: SocketOptions,
  ) {
    this.endpoint = endpoint;
    const { _isServer: isServer } = endpoint;
    const { generateMask } = options;
    const codec = extension === undefined ? undefined : codecOf(extension);
    this.reader = new MessageReader(readOptions({ ...options, isServer }), codec, this);
    const sender = isServer ? plainSender : generateMask === undefined ? maskingSender : senderWithKeys(generateMask);
    this.channel = new Channel(stream, head, sender, this, options.greeting);
    this.writer = new MessageWriter(this.channel, codec, this);
    const { heartbeat, maxWriteBufferSize } = options.tungstate ?? {};
    this.heartbeat = heartbeat === undefined ? undefined : new Heartbeat(heartbeat, this);
    this.maxWriteBufferSize = maxWriteBufferSize;
  }

  /** Leaves the connection out of the JSON of a WebSocket: its objects refer to each other. */
  toJSON(): undefined {
    return undefined;
  }

  get bufferedAmount(): number {
    return this.channel.bufferedAmount + this.writer.heldSize;
  }

  // ---- the application

  send(data: unknown, options: SendOptions, callback: Callback | undefined): void {
    this.writer.send(data, options, callback);
    if (this.maxWriteBufferSize !== undefined) this.checkRoom(this.maxWriteBufferSize);
  }

  /** Destroys the connection if its peer does not read. */
  private checkRoom(limit: number): void {
    const waiting = this.channel.waitingSize + this.writer.heldSize;
    if (waiting <= limit || this.channel.destroyed) return;
    this.endpoint._readyState = CLOSING;
    this.channel.destroy();
    this.reportError(new Error(`The peer is too slow: ${waiting} bytes wait, the limit is ${limit}`));
  }

  sendHeartbeat(): void {
    if (this.endpoint.readyState === OPEN) {
      this.channel.control(OPCODE.PING, EMPTY_BUFFER, !this.endpoint._isServer, undefined);
    }
  }

  onSilence(): void {
    this.channel.destroy();
  }

  ping(data: unknown, mask: boolean, callback: Callback | undefined): void {
    checkControl(data);
    this.writer.control(OPCODE.PING, data, mask, callback);
  }

  pong(data: unknown, mask: boolean, callback: Callback | undefined): void {
    checkControl(data);
    this.writer.control(OPCODE.PONG, data, mask, callback);
  }

  /** Starts the closing handshake. Throws for a code or a reason that no Close can carry. */
  close(code: number | undefined, reason: string | Buffer | undefined): void {
    const { endpoint } = this;
    this.writer.control(OPCODE.CLOSE, closePayload(code, reason), !endpoint._isServer, (error) => {
      if (error) return;
      endpoint._closeFrameSent = true;
      this.endIfClosed();
    });
    endpoint._readyState = CLOSING;
    this.startTimer();
  }

  /** Ends our half of the stream when both peers have sent a Close. */
  endIfClosed(): void {
    const { endpoint } = this;
    if (endpoint._closeFrameSent && (endpoint._closeFrameReceived || this.reader.hasFailed)) this.channel.end();
  }

  private startTimer(): void {
    const { endpoint, channel } = this;
    endpoint._closeTimer = setTimeout(() => channel.destroy(), endpoint._closeTimeout);
  }

  pause(): void {
    this.channel.pause();
  }

  resume(): void {
    if (!this.reader.isBusy) this.channel.resume();
  }

  // ---- the stream

  onBytes(chunk: Uint8Array, start: number, end: number): void {
    this.heartbeat?.received();
    this.reader.read(chunk, start, end);
  }

  onEnd(): void {
    this.endpoint._readyState = CLOSING;
    this.channel.end();
  }

  onFailed(): void {
    this.endpoint._readyState = CLOSING;
    this.channel.destroy();
  }

  onClosed(): void {
    const { endpoint } = this;
    this.isOver = true;
    this.heartbeat?.stop();
    endpoint._readyState = CLOSING;
    if (endpoint._closeTimer !== null) clearTimeout(endpoint._closeTimer);
    try {
      this.writer.end();
    } finally {
      this.reader.end(() => endpoint.emitClose());
    }
  }

  // ---- frames of the peer

  onMessage(data: unknown, isBinary: boolean): void {
    this.emit("message", data, isBinary);
  }

  onPing(payload: Buffer): void {
    const { endpoint } = this;
    if (endpoint._autoPong && endpoint.readyState === OPEN) this.answer(payload);
    this.emit("ping", payload);
  }

  private answer(payload: Buffer): void {
    const { endpoint } = this;
    const most = endpoint._maxPendingAutoPongs;
    if (most > 0 && this.pendingPongs >= most) {
      endpoint.terminate();
      return;
    }
    this.pendingPongs++;
    this.pongSent ??= () => this.pendingPongs--;
    endpoint.pong(payload, !endpoint._isServer, this.pongSent);
  }

  onPong(payload: Buffer): void {
    this.emit("pong", payload);
  }

  onConclude(code: number, reason: Buffer): void {
    const { endpoint } = this;
    endpoint._closeFrameReceived = true;
    endpoint._closeCode = code;
    // a copy, because a view would keep the whole buffer alive
    endpoint._closeMessage = reason.length === 0 ? EMPTY_BUFFER : Buffer.from(new Uint8Array(reason).buffer);
    if (this.isOver) return;
    this.channel.drain();
    if (code === NO_STATUS) endpoint.close();
    else endpoint.close(code, reason);
  }

  onReadError(error: Error): void {
    if (!this.isOver) {
      this.channel.drain();
      this.endpoint.close(closeCodeOf(error));
    }
    this.reportError(error);
  }

  onWriteError(error: Error): void {
    const { endpoint } = this;
    if (endpoint.readyState === CLOSED) return;
    if (endpoint.readyState === OPEN) {
      endpoint._readyState = CLOSING;
      this.startTimer();
    }
    // not destroyed, because the peer may still be sending
    this.channel.end();
    this.reportError(error);
  }

  private reportError(error: Error): void {
    if (this.endpoint._errorEmitted) return;
    this.endpoint._errorEmitted = true;
    this.emit("error", error);
  }

  onReading(on: boolean): void {
    if (!on) this.channel.pause();
    else if (!this.endpoint._paused) this.channel.resume();
  }

  /**
   * Emits an event. As with ws, an exception of a listener is an uncaught exception. Later frames
   * are still read.
   */
  private emit(event: string, ...args: unknown[]): void {
    try {
      this.endpoint.emit(event, ...args);
    } catch (error) {
      process.nextTick(() => {
        throw error;
      });
    }
  }
}
