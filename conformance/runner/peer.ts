import type { Socket } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { type Chop, CLOSE, closePayload, type Event, type Frame, PING } from "../cases/case.ts";
import { Deflater, Inflater } from "../wire/deflate.ts";
import type { DeflateAgreement } from "../wire/deflate-negotiation.ts";
import { encodeFrame } from "../wire/frame-writer.ts";
import { Inbound, type ReceivedClose } from "../wire/inbound.ts";
import { startDeadline } from "./deadline.ts";

export type Side = "suite" | "remote";

export interface PeerOptions {
  readonly socket: Socket;
  readonly role: "client" | "server";
  readonly agreement: DeflateAgreement | undefined;
  /** Bytes that came behind the handshake. */
  readonly head: Buffer;
}

const CHECKPOINT = "checkpoint ";

/** One connection of the suite, past its handshake: sends any bytes, and keeps what the remote does. */
export class Peer {
  readonly deflater: Deflater | undefined;
  readonly events: Event[] = [];
  /** What the suite is on this connection. */
  readonly role: "client" | "server";
  readonly #socket: Socket;
  readonly #waiting = new Set<() => void>();
  #close: ReceivedClose | undefined;
  #closedFirst: Side | undefined;
  #closeSent = false;
  #violation: string | undefined;
  #ended = false;

  constructor({ socket, role, agreement, head }: PeerOptions) {
    this.#socket = socket;
    this.role = role;
    this.deflater = agreement && new Deflater(agreement.sending);
    const inflater = agreement && new Inflater(agreement.receiving);
    const inbound = new Inbound(
      {
        event: (event) => this.#take(event),
        close: (close) => {
          this.#close = close;
          this.#closedFirst ??= "remote";
        },
        violation: (what) => {
          this.#violation = what;
        },
      },
      { masked: role === "server", inflater },
    );
    const ended = (): void => {
      this.#ended = true;
      this.#changed();
    };
    const received = (chunk: Buffer): void => {
      inbound.push(chunk);
      this.#changed();
    };
    socket.on("end", ended).on("error", ended).on("close", ended).on("data", received);
    if (head.length > 0) received(head);
  }

  get close(): ReceivedClose | undefined {
    return this.#close;
  }

  /** Who sent a Close before the other did. */
  get closedFirst(): Side | undefined {
    return this.#closedFirst;
  }

  get closeSent(): boolean {
    return this.#closeSent;
  }

  get violation(): string | undefined {
    return this.#violation;
  }

  /** The remote has ended the byte stream. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Nothing more is to be expected but the end. */
  get over(): boolean {
    return this.#ended || this.#close !== undefined || this.#violation !== undefined;
  }

  /** Whether the suite's frames are masked here. */
  get masks(): boolean {
    return this.role === "client";
  }

  /** Sends frames. Stops between two writes when the remote has closed. */
  async send(frames: Iterable<Frame>, chop: Chop): Promise<void> {
    const encoded: Buffer[] = [];
    for (const frame of frames) {
      if (frame.opcode === CLOSE) this.#closing();
      encoded.push(encodeFrame(frame, this.masks));
    }
    await this.sendBytes(chop === "frames" ? encoded : cut(Buffer.concat(encoded), chop === "whole" ? 0 : chop));
  }

  /** Each piece in a write of its own. */
  async sendBytes(pieces: Iterable<Uint8Array>): Promise<void> {
    let isFirst = true;
    for (const piece of pieces) {
      // Two turns: what the remote did in the first is read in the second, before more is written to what it may have closed.
      if (!isFirst) {
        await nextTurn();
        await nextTurn();
      }
      isFirst = false;
      if (this.over || this.#socket.destroyed) return;
      this.#socket.write(piece);
    }
  }

  sendClose(code: number | undefined): void {
    this.#closing();
    const payload = code === undefined ? Buffer.alloc(0) : closePayload(code);
    if (!this.#socket.destroyed) this.#socket.write(encodeFrame({ opcode: CLOSE, payload }, this.masks));
  }

  /** Resolves to whether the condition came true within `ms`; it is looked at whenever something has come. */
  async until(condition: () => boolean, ms: number): Promise<boolean> {
    if (condition()) return true;
    return new Promise((resolve) => {
      const settle = (value: boolean): void => {
        cancel();
        this.#waiting.delete(look);
        resolve(value);
      };
      const look = (): void => {
        if (condition()) settle(true);
      };
      const cancel = startDeadline(ms, () => settle(false));
      this.#waiting.add(look);
    });
  }

  /** A ping whose pong proves that the remote took all that was sent before it. False: it closed, or took too long. */
  async checkpoint(name: string, ms: number): Promise<boolean> {
    await this.send([{ opcode: PING, payload: Buffer.from(CHECKPOINT + name) }], "whole");
    const isReached = (): boolean => this.events.some((event) => event.is === "checkpoint" && event.name === name);
    await this.until(() => this.over || isReached(), ms);
    return isReached();
  }

  /** For a checkpoint that was proved in another way. */
  passCheckpoint(name: string): void {
    this.events.push({ is: "checkpoint", name });
  }

  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #closing(): void {
    this.#closeSent = true;
    this.#closedFirst ??= "suite";
  }

  #take(event: Event): void {
    const pong =
      event.is === "pong" && event.payload instanceof Uint8Array ? Buffer.from(event.payload).toString() : "";
    if (pong.startsWith(CHECKPOINT)) this.passCheckpoint(pong.slice(CHECKPOINT.length));
    else this.events.push(event);
  }

  #changed(): void {
    for (const look of [...this.#waiting]) look();
  }
}

/** `bytes` in pieces of `size`; 0 for one. */
function* cut(bytes: Uint8Array, size: number): Generator<Uint8Array> {
  if (size === 0) yield bytes;
  else for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
