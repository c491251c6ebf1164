import type { Duplex } from "node:stream";
import process from "node:process";
import type { Socket } from "node:net";
import { OPCODE, type PreparedMessage, type Taken } from "@tungstate/protocol";
import { Output, type Sender } from "@tungstate/protocol/internal";
import { shareSocket, type SharedSocketTransport, type SocketSharer, type TransportSink } from "tungstate/internal";
import type { Callback } from "../constants.ts";
import { destroyedError } from "../errors.ts";
import { flushAtExit, flusher, maskingSender, memory, plainSender, runtime } from "../runtime.ts";
import { callAll } from "./callbacks.ts";
import { sharedData } from "./shared-data.ts";
import { StreamLink, type StreamSink } from "./stream-link.ts";

const LARGEST_COPY = 4096; // bytes; larger payloads are not copied to the output
const FLUSH_SIZE = 64 * 1024; // bytes of output that are written before the end of the tick

/** Notifications of a channel to its WebSocket. */
export interface ChannelHost {
  onBytes(chunk: Uint8Array, start: number, end: number): void;
  /** The peer has ended its half. */
  onEnd(): void;
  /** The stream has failed and is being destroyed. */
  onFailed(): void;
  /** The stream has ended in both directions. Called once, last. */
  onClosed(): void;
}

/**
 * The output of one connection and its stream: the handle of a socket, or any Duplex. Frames are
 * written at the end of the tick at the latest.
 */
export class Channel implements TransportSink, StreamSink, SocketSharer {
  /** The stream as the application knows it. */
  readonly stream: Duplex;
  readonly output = new Output(memory);
  private readonly host: ChannelHost;
  private readonly sender: Sender;
  private transport: SharedSocketTransport | undefined;
  private link: StreamLink | undefined;
  private inFlight: Taken | undefined;
  private flushDue = false;
  private tickDue = false;
  private paused = false;
  private endDue = false;
  private drains = false;
  private over = false;
  /** Callbacks of frames in the output, of frames being written, and of written frames. */
  private callbacks: Callback[] | undefined;
  private flightCallbacks: Callback[] | undefined;
  private written: Callback[] | undefined;

  /** `sender`: the default encoder. `greeting`: text to send first. */
  constructor(stream: Duplex, head: Uint8Array, sender: Sender, host: ChannelHost, greeting?: string) {
    this.stream = stream;
    this.sender = sender;
    this.host = host;
    flushAtExit();
    const { setTimeout: limitTime, setNoDelay }: Partial<Socket> = stream as Partial<Socket> & Duplex;
    limitTime?.call(stream as Socket, 0);
    setNoDelay?.call(stream as Socket);
    if (head.length > 0) stream.unshift(head);
    this.transport = shareSocket(stream, runtime.handles, this);
    if (this.transport === undefined) {
      if (greeting !== undefined) stream.write(greeting);
      this.link = new StreamLink(stream, this);
      return;
    }
    if (greeting !== undefined) {
      this.output.append(Buffer.from(greeting));
      this.flushSoon();
    }
    this.transport.start(this);
  }

  // ---- the stream

  /** Bytes that are buffered. Writes them first. */
  get bufferedAmount(): number {
    this.flush();
    const { output, transport, link } = this;
    return output.size + (transport?.unsent ?? 0) + (link?.unsent ?? 0);
  }

  /** Bytes that are buffered. */
  get waitingSize(): number {
    return this.output.size + (this.transport?.unsent ?? 0) + (this.link?.unsent ?? 0);
  }

  get destroyed(): boolean {
    return this.over || (this.transport?.closed ?? this.link?.destroyed ?? true);
  }

  pause(): void {
    this.paused = true;
    if (this.transport !== undefined) this.transport.pause();
    else this.stream.pause();
  }

  resume(): void {
    this.paused = false;
    if (this.transport !== undefined) this.transport.resume();
    else this.stream.resume();
  }

  /** Ignores all further bytes of the peer. */
  drain(): void {
    this.drains = true;
    // not within the call that brings the bytes
    process.nextTick(() => {
      this.paused = false;
      if (this.transport !== undefined) this.transport.resume();
      else this.link?.drain();
    });
  }

  /** Ends our half of the stream after all sent frames. */
  end(): void {
    this.flush();
    if (this.transport === undefined) this.stream.end();
    else if (this.inFlight === undefined && this.output.size === 0) this.transport.end();
    else this.endDue = true;
  }

  destroy(): void {
    this.flush();
    if (this.transport === undefined) this.stream.destroy();
    else this.transport.destroy();
  }

  onBytes(chunk: Uint8Array, start: number, end: number): void {
    if (this.drains) return;
    flusher.reading = this;
    try {
      this.host.onBytes(chunk, start, end);
    } finally {
      flusher.wasRead();
    }
  }

  onEnd(): void {
    this.host.onEnd();
  }

  onFailed(): void {
    this.host.onFailed();
  }

  onClosed(): void {
    if (this.over) return;
    this.over = true;
    if (this.inFlight !== undefined) this.output.release(this.inFlight);
    this.inFlight = undefined;
    this.output.clear();
    const failed = [this.flightCallbacks, this.callbacks].flatMap((list) => list ?? []);
    this.flightCallbacks = this.callbacks = undefined;
    try {
      callAll(failed, failed.length > 0 ? destroyedError() : undefined);
    } finally {
      this.host.onClosed();
    }
  }

  private fail(callbacks: readonly Callback[], error: Error): void {
    for (const callback of callbacks) process.nextTick(callback, error);
  }

  /** The last write on the handle is complete. */
  onWritten(): void {
    const { inFlight, flightCallbacks } = this;
    if (inFlight === undefined) return;
    this.inFlight = this.flightCallbacks = undefined;
    this.output.release(inFlight);
    if (flightCallbacks !== undefined) this.runSoon(flightCallbacks);
    this.flush();
    if (this.endDue && this.inFlight === undefined && this.output.size === 0) {
      this.endDue = false;
      this.transport?.end();
    }
  }

  /** The application uses the socket itself: the connection continues on the public API. */
  onSocketNeeded(socket: Socket): void {
    const { output, flightCallbacks } = this;
    this.transport = undefined;
    // the system already has these bytes, so they precede writes of the socket
    this.inFlight = this.flightCallbacks = undefined;
    if (flightCallbacks !== undefined) this.runSoon(flightCallbacks);
    this.link = new StreamLink(socket, this);
    if (this.paused) socket.pause();
    else socket.resume();
    if (this.drains) this.link.drain();
    if (output.size > 0) this.flush();
  }

  // ---- frames

  private senderFor(mask: boolean): Sender {
    if (mask === (this.sender.keys !== undefined)) return this.sender;
    return mask ? maskingSender : plainSender;
  }

  /** Sends one message. */
  message(data: string | Uint8Array, isText: boolean, mask: boolean, callback: Callback | undefined): void {
    const { output } = this;
    const shared = mask ? undefined : sharedData.message(data, isText);
    if (shared !== undefined) this.prepared(shared, callback);
    else {
      const sender = this.senderFor(mask);
      if (typeof data !== "string") sender.payloadOf(output, isText ? "text" : "binary", data, false);
      else if (isText) sender.message(output, data);
      else sender.payloadOf(output, "binary", Buffer.from(data), false);
      this.added(data.length, callback);
    }
  }

  /** Sends a message that was encoded for many connections. */
  prepared(message: PreparedMessage, callback: Callback | undefined): void {
    this.output.appendPrepared(message);
    this.added(0, callback);
  }

  /** Sends one compressed message. */
  compressed(payload: Uint8Array, isText: boolean, mask: boolean, callback: Callback | undefined): void {
    this.senderFor(mask).payloadOf(this.output, isText ? "text" : "binary", payload, true);
    this.added(payload.length, callback);
  }

  /** Sends a fragment. The first one sets the type of the message and whether it is compressed. */
  fragment(
    payload: Uint8Array,
    last: boolean,
    isText: boolean,
    compressed: boolean,
    mask: boolean,
    callback: Callback | undefined,
  ): void {
    const sender = this.senderFor(mask);
    if (!this.output.inMessage) sender.begin(this.output, isText ? "text" : "binary", compressed);
    sender.fragment(this.output, payload, last);
    this.added(payload.length, callback);
  }

  /** Sends a control frame. */
  control(opcode: 0x8 | 0x9 | 0xa, payload: Uint8Array, mask: boolean, callback: Callback | undefined): void {
    this.senderFor(mask).control(this.output, opcode, payload);
    if (opcode === OPCODE.CLOSE) flusher.holdAll();
    this.added(0, callback);
  }

  /** Sends frames that the caller has encoded. */
  frames(list: readonly (Uint8Array | string)[], callback: Callback | undefined): void {
    const shared = sharedData.frames(list);
    if (shared !== undefined) this.output.appendShared(shared);
    else {
      for (const part of list) this.output.append(typeof part === "string" ? Buffer.from(part) : part);
    }
    this.added(0, callback);
  }

  /** Call after adding to the output. `size`: bytes that may refer to memory of the caller. */
  private added(size: number, callback: Callback | undefined): void {
    if (callback !== undefined) {
      (this.callbacks ??= []).push(callback);
      this.runTick();
    }
    if (size > LARGEST_COPY || this.output.size >= FLUSH_SIZE) this.flush();
    if (this.output.size > 0) this.flushSoon();
  }

  private flushSoon(): void {
    if (this.flushDue) return;
    this.flushDue = true;
    flusher.add(this);
  }

  /** The end of the tick. */
  flushNow(): void {
    this.flushDue = false;
    this.flush();
  }

  /** Writes the output. */
  flush(): void {
    const { output, transport, callbacks } = this;
    if (output.size === 0 || this.over) return;
    if (transport !== undefined && this.inFlight !== undefined) return;
    this.callbacks = undefined;
    const taken = output.take();
    if (transport === undefined) this.writeToStream(taken, callbacks);
    else if (!transport.write(taken.pieces)) {
      this.inFlight = taken;
      this.flightCallbacks = callbacks;
    } else {
      output.release(taken);
      if (callbacks === undefined) return;
      if (transport.closed) this.fail(callbacks, destroyedError());
      else this.runSoon(callbacks);
    }
  }

  private writeToStream(taken: Taken, callbacks: Callback[] | undefined): void {
    this.link?.write(taken, (error) => {
      this.output.release(taken);
      if (callbacks !== undefined) callAll(callbacks, error);
    });
  }

  /** Calls the callbacks from `process.nextTick`. */
  private runSoon(callbacks: Callback[]): void {
    this.written = this.written === undefined ? callbacks : [...this.written, ...callbacks];
    this.runTick();
  }

  private runTick(): void {
    if (this.tickDue) return;
    this.tickDue = true;
    process.nextTick(() => {
      this.flush();
      this.tickDue = false;
      const { written } = this;
      this.written = undefined;
      if (written !== undefined) callAll(written, null);
    });
  }
}
