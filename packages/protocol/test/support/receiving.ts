import assert from "node:assert/strict";
import type { WebSocketError } from "../../src/errors.ts";
import type { Message } from "../../src/messages/message.ts";
import { Receiver, type ReceiverEvents } from "../../src/endpoint/receiver.ts";
import type { ReceiverOptions } from "../../src/endpoint/header-parser.ts";
import { concat, show } from "./bytes.ts";
import { chunkings, lend } from "./chunks.ts";
import { frame, type FrameSpec, keyTo, type Role, ROLES } from "./frames.ts";
import { memory } from "./runtime.ts";

/** Passes what a receiver has read to a listener. */
export const TO_LISTENER: ReceiverEvents<Listener> = {
  message: (to, message) => to.onMessage(message),
  compressedMessage: (to, message) => to.onCompressedMessage(message),
  ping: (to, payload) => to.onPing(payload),
  pong: (to, payload) => to.onPong(payload),
  close: (to, payload) => to.onClose(payload),
};

/** Records everything a receiver delivers, as `text 48656c`, `ping 01`, ... */
export class Listener {
  readonly messages: Message[] = [];
  private readonly events: { what: string; bytes: Uint8Array; then: string }[] = [];
  error: WebSocketError | undefined;

  onMessage(message: Message): void {
    this.messages.push(message);
    this.note(message.type, message);
  }

  onCompressedMessage(message: Message): void {
    this.note(`compressed ${message.type}`, message);
  }

  onPing(payload: Uint8Array): void {
    this.add("ping", payload);
  }

  onPong(payload: Uint8Array): void {
    this.add("pong", payload);
  }

  onClose(payload: Uint8Array): void {
    this.add("close", payload);
  }

  private note(what: string, message: Message): void {
    const copy = new Uint8Array(message.size);
    assert.equal(message.copyTo(copy, 0), message.size);
    this.add(what, message.bytes);
    assert.deepEqual(copy, new Uint8Array(message.bytes));
  }

  private add(what: string, bytes: Uint8Array): void {
    this.events.push({ what, bytes, then: show(bytes) });
  }

  /**
   * Returns the records in order, and the code of the final error. Checks that no message has
   * changed since.
   */
  get log(): string[] {
    const lines = this.events.map(({ what, bytes, then }) => {
      assert.equal(show(bytes), then, `a ${what} has changed after it was handed on`);
      return `${what} ${then}`.trimEnd();
    });
    return this.error === undefined ? lines : [...lines, `error ${this.error.code}`];
  }
}

export const RECEIVER_DEFAULTS = {
  maxFrameSize: 1 << 24,
  maxMessageSize: 1 << 26,
  acceptUnmaskedFrames: false,
  compression: false,
};

export function newReceiver(
  role: Role,
  options: Partial<ReceiverOptions> = {},
): { receiver: Receiver; listener: Listener } {
  const listener = new Listener();
  return {
    receiver: new Receiver(memory(), { ...RECEIVER_DEFAULTS, role, ...options }, TO_LISTENER, listener),
    listener,
  };
}

/** Returns what a receiver of this role delivers for the chunks. */
export function listen(role: Role, chunks: readonly Uint8Array[], options: Partial<ReceiverOptions> = {}): Listener {
  const { receiver, listener } = newReceiver(role, options);
  lend(chunks, (chunk, start, end) => {
    const error = receiver.receive(chunk, start, end);
    if (error === undefined) return;
    assert.equal(listener.error, undefined, "a second error");
    listener.error = error;
  });
  return listener;
}

/** Frames as they are sent to a receiver of this role. */
export function framesTo(role: Role, frames: readonly FrameSpec[]): Uint8Array {
  const key = keyTo(role);
  return concat(...frames.map((spec) => frame({ key, ...spec })));
}

/** Checks the result of the frames in both roles, for all splits. */
export function expectFrames(
  frames: readonly FrameSpec[],
  expected: readonly string[],
  options: Partial<ReceiverOptions> = {},
): void {
  for (const role of ROLES) expectBytes(role, framesTo(role, frames), expected, options);
}

/** Checks the result of the bytes, for all splits. */
export function expectBytes(
  role: Role,
  bytes: Uint8Array,
  expected: readonly string[],
  options: Partial<ReceiverOptions> = {},
): void {
  for (const chunks of chunkings(bytes)) {
    const sizes = chunks.length > 2 ? "byte by byte" : `cut as ${chunks.map((chunk) => chunk.length).join(" + ")}`;
    assert.deepEqual(listen(role, chunks, options).log, expected, `${role}, ${sizes}`);
  }
}
