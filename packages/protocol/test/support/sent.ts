import assert from "node:assert/strict";
import type { Output, Taken } from "../../src/endpoint/output.ts";
import { concat, show } from "./bytes.ts";
import { type Frame, readFrames, type Role } from "./frames.ts";
import { MaskingKeys } from "../../src/frames/masking-keys.ts";

/** Predictable keys: 00010203, 04050607, ... */
export function countingKeys(): MaskingKeys {
  let next = 0;
  return new MaskingKeys((target) => {
    for (let at = 0; at < target.length; at++) target[at] = next++;
  });
}

export function keysOf(role: Role): MaskingKeys | undefined {
  return role === "client" ? countingKeys() : undefined;
}

export function bytesOf(taken: Taken): Uint8Array {
  const bytes = Array.isArray(taken.pieces) ? concat(...taken.pieces) : Uint8Array.from(taken.pieces);
  assert.equal(bytes.length, taken.size, "the reported size is that of the pieces");
  return bytes;
}

/** Returns all waiting output, written. */
export function drain(output: Output): Uint8Array {
  const waiting = output.size;
  const taken = output.take();
  assert.equal(taken.size, waiting);
  assert.equal(output.size, 0);
  const bytes = bytesOf(taken);
  output.release(taken);
  return bytes;
}

/** Returns the waiting frames, written by this role. */
export function drainFrames(output: Output, role: Role): Frame[] {
  const frames = readFrames(drain(output));
  for (const { key } of frames) assert.equal(key !== undefined, role === "client", "a client masks, a server does not");
  return frames;
}

/** Formats a frame as `text 48 fin`, `continuation 65`, `close 03e8 fin`, ... */
export function showFrame({ fin, rsv, opcode, payload }: Frame): string {
  const names = ["continuation", "text", "binary", "", "", "", "", "", "close", "ping", "pong"];
  const parts = [names[opcode] ?? `opcode ${opcode}`, show(payload), rsv === 0 ? "" : `rsv ${rsv}`, fin ? "fin" : ""];
  return parts.filter((part) => part !== "").join(" ");
}

/** Joins the payloads of frames. */
export function joined(frames: readonly Frame[]): Uint8Array {
  return concat(...frames.map((each) => each.payload));
}
