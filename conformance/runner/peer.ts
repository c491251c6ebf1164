import type { Socket } from "node:net";
import { setImmediate as nextTicks } from "node:timers/promises";
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
  /** Bytes received after the handshake. */
  readonly head: Buffer;
}

const CHECKPOINT = "checkpoint ";

/**
 * One connection of the suite after its handshake: sends any bytes and records what the remote
 * does.
 */
export class Peer {
  readonly deflater: Deflater | undefined;
  readonly events: Event[] = [];
  /** The suite's role on this connection. */
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

  /** Who sent the first Close. */
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

  /** Only the end of the connection is still expected. */
  get hasEnded(): boolean {
    return this.#ended || this.#close !== undefined || this.#violation !== undefined;
  }

  /** Whether the suite masks its frames here. */
  get masks(): boolean {
    return this.role === "client";
  }

  /** Sends frames. Stops between two writes if the remote has closed. */
  async send(frames: Iterable<Frame>, chop: Chop): Promise<void> {
    const encoded: Buffer[] = [];
    for (const frame of frames) {
      if (frame.opcode === CLOSE) this.#closing();
      encoded.push(encodeFrame(frame, this.masks));
    }
    await this.sendBytes(chop === "frames" ? encoded : cut(Buffer.concat(encoded), chop === "whole" ? 0 : chop));
  }

  /** Sends each piece in a separate write. */
  async sendBytes(pieces: Iterable<Uint8Array>): Promise<void> {
    let isFirst = true;
    for (const piece of pieces) {
      // Two event-loop ticks: events of the first are read in the second, before more is written to
      // a connection that may be closed.
      if (!isFirst) {
        await nextTicks();
        await nextTicks();
      }
      isFirst = false;
      if (this.hasEnded || this.#socket.destroyed) return;
      this.#socket.write(piece);
    }
  }

  sendClose(code: number | undefined): void {
    this.#closing();
    const payload = code === undefined ? Buffer.alloc(0) : closePayload(code);
    if (!this.#socket.destroyed) this.#socket.write(encodeFrame({ opcode: CLOSE, payload }, this.masks));
  }

  /**
   * Resolves with whether the condition became true within `ms`. It is evaluated whenever something
   * has arrived.
   */
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

  /**
   * Sends a ping whose pong proves that the remote read everything before it. Resolves with false
   * if the remote closed or did not answer in time.
   */
  async checkpoint(name: string, ms: number): Promise<boolean> {
    await this.send([{ opcode: PING, payload: Buffer.from(CHECKPOINT + name) }], "whole");
    const isReached = (): boolean => this.events.some((event) => event.is === "checkpoint" && event.name === name);
    await this.until(() => this.hasEnded || isReached(), ms);
    return isReached();
  }

  /** Records a checkpoint that was proved in another way. */
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

/** Splits `bytes` into pieces of `size`; 0 for one piece. */
function* cut(bytes: Uint8Array, size: number): Generator<Uint8Array> {
  if (size === 0) yield bytes;
  else for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
