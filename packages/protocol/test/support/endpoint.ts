import type { Message } from "../../src/messages/message.ts";
import { DEFAULT_LIMITS, type ProtocolOptions } from "../../src/endpoint/options.ts";
import type { Protocol } from "../../src/endpoint/protocol.ts";
import type { ProtocolSink } from "../../src/endpoint/sink.ts";
import { show } from "./bytes.ts";
import { lend } from "./chunks.ts";
import type { FrameSpec, Role } from "./frames.ts";
import { framesTo } from "./receiving.ts";
import { drain, drainFrames, keysOf, showFrame } from "./sent.ts";
import { newProtocol } from "./runtime.ts";
import { WebSocketError } from "../../src/errors.ts";

/** Options without heartbeat and compression. */
export function optionsOf(role: Role): ProtocolOptions {
  return {
    ...DEFAULT_LIMITS,
    role,
    keys: keysOf(role),
    acceptUnmaskedFrames: false,
    compression: false,
    heartbeat: undefined,
    closeTimeout: 5000,
  };
}

/** A protocol that records its events and output. */
export class Endpoint implements ProtocolSink {
  readonly role: Role;
  readonly protocol: Protocol;
  /** `text 61`, `ping`, `state closing`, ... in order. */
  readonly events: string[] = [];
  /** The time of what is received and of errors. */
  now = 0;
  /** Called with each of them. */
  then: (what: string) => void = () => undefined;

  constructor(role: Role, options: Partial<ProtocolOptions> = {}) {
    this.role = role;
    this.protocol = newProtocol({ ...optionsOf(role), ...options }, this);
  }

  onMessage(message: Message): void {
    this.note(`${message.type} ${show(message.bytes)}`);
  }

  onPing(payload: Uint8Array): void {
    this.note(`ping ${show(payload)}`);
  }

  onPong(payload: Uint8Array): void {
    this.note(`pong ${show(payload)}`);
  }

  onStateChange(): void {
    this.note(`state ${this.protocol.state}`);
  }

  private note(what: string): void {
    this.events.push(what.trimEnd());
    this.then(what.trimEnd());
  }

  receive(...frames: FrameSpec[]): void {
    this.receiveChunks([framesTo(this.role, frames)]);
  }

  /** The same at a time of the heartbeat. */
  receiveAt(now: number, ...frames: FrameSpec[]): void {
    this.now = now;
    this.receive(...frames);
  }

  receiveChunks(chunks: readonly Uint8Array[]): void {
    lend(chunks, (chunk, start, end) => this.protocol.receive(chunk, this.now, start, end));
  }

  /** Returns the frames sent since the last call, including a pending pong. */
  sent(): string[] {
    this.protocol.flushControlFrames();
    return drainFrames(this.protocol.output, this.role).map(showFrame);
  }

  sentBytes(): Uint8Array {
    this.protocol.flushControlFrames();
    return drain(this.protocol.output);
  }

  /** Ends the connection with an error. */
  fail(error: WebSocketError, drain?: boolean): void {
    this.protocol.fail(error, this.now, drain);
  }

  get code(): string | undefined {
    return this.protocol.error?.code;
  }
}

/** A client and a server, connected by their bytes. */
export class Pair {
  readonly client: Endpoint;
  readonly server: Endpoint;

  constructor(options: Partial<ProtocolOptions> = {}) {
    this.client = new Endpoint("client", options);
    this.server = new Endpoint("server", options);
  }

  /**
   * Moves bytes in both directions until there are none; ends the stream when an end requests it.
   */
  settle(): void {
    for (let moved = true; moved;) {
      moved = false;
      for (const [from, to] of [
        [this.client, this.server],
        [this.server, this.client],
      ]) {
        const bytes = from.sentBytes();
        if (bytes.length > 0) {
          moved = true;
          to.receiveChunks([bytes]);
        }
        if (from.protocol.shouldEndStream && to.protocol.state !== "closed") {
          moved = true;
          to.protocol.receiveEnd(0);
        }
      }
    }
  }
}

/** An error of another layer: a function of the application threw. */
export function handlerFailed(): WebSocketError {
  return new WebSocketError("HANDLER_FAILED", { fault: "local", closeCode: 1011, text: "a handler threw" });
}
