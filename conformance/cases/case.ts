/**
 * What a case is: bytes to send, events to see, and how the connection must end. The cases are data; `runner/` plays them.
 * Group and case numbers are those of the Autobahn Testsuite, so that results can be laid side by side.
 */

/** Bytes given as they are, or a pattern repeated up to a length, so that the table of large messages stays small. */
export type Payload = Uint8Array | { readonly pattern: Uint8Array; readonly length: number };

export interface Frame {
  readonly opcode: number;
  /** Default true. */
  readonly fin?: boolean;
  /** The three reserved bits as a number: 4 is RSV1, 2 is RSV2, 1 is RSV3. Default 0. */
  readonly rsv?: number;
  readonly payload?: Payload;
}

/** How the bytes of a step are cut into writes: all at once, one write a frame, or so many bytes a write. */
export type Chop = "whole" | "frames" | number;

export type Step =
  | { readonly do: "send"; readonly frames: readonly Frame[]; readonly chop: Chop }
  /** One message in fragments of `fragmentSize` bytes; a message that divides evenly gets an empty last fragment. */
  | { readonly do: "send-message"; readonly text: boolean; readonly payload: Payload; readonly fragmentSize: number }
  /** One frame in several writes, cut behind the payload bytes `cuts`; between two writes a checkpoint. */
  | {
      readonly do: "send-in-pieces";
      readonly frame: Frame;
      readonly cuts: readonly number[];
      readonly checkpoints: readonly string[];
    }
  /** Goes on when the remote has proved that it took what was sent and is still open. */
  | { readonly do: "checkpoint"; readonly name: string }
  /** Goes on when so many events have come in all. */
  | { readonly do: "await-events"; readonly count: number }
  /** One message after the other, each sent when the one before has come back as it was. */
  | {
      readonly do: "round-trips";
      readonly count: number;
      readonly text: boolean;
      readonly length: number;
      readonly source: Uint8Array | CorpusName;
      /** 0: unfragmented. */
      readonly fragmentSize: number;
    };

export type CorpusName = "json" | "bitmap" | "prose" | "html" | "document";

export type Event =
  | { readonly is: "message"; readonly text: boolean; readonly payload: Payload }
  | { readonly is: "ping" | "pong"; readonly payload: Payload }
  | { readonly is: "checkpoint"; readonly name: string };

export interface CloseExpectation {
  /** Who has to send the first Close frame: the suite or the implementation under test. */
  readonly by: "suite" | "remote";
  /** The codes that the remote's Close may carry. */
  readonly codes: readonly number[];
  /** The remote's Close may also carry no code, as an answer to a Close without one. */
  readonly emptyAllowed?: boolean;
  /** Whether the closing handshake must be completed; otherwise a dropped connection is not strict, but no failure. */
  readonly clean: boolean;
}

/** What one side of permessage-deflate asks of the other's compressor. */
export interface DeflateWish {
  readonly noContextTakeover: boolean;
  /** 0: nothing asked. */
  readonly windowBits: number;
}

export interface ConformanceCase {
  readonly id: string;
  readonly title: string;
  readonly steps: readonly Step[];
  readonly ok: readonly Event[];
  /** Allowed by the RFC, but not what a strict implementation does. */
  readonly nonStrict?: readonly Event[];
  readonly close: CloseExpectation;
  /** The RFC leaves the outcome open; why. Only that the connection ends, and without a violation, is judged. */
  readonly informational?: string;
  /** permessage-deflate is asked for so, the first choice first. */
  readonly deflate?: readonly DeflateWish[];
}

export const TEXT = 1;
export const BINARY = 2;
export const CONTINUATION = 0;
export const CLOSE = 8;
export const PING = 9;
export const PONG = 10;

export function bytes(text: string): Uint8Array {
  return Buffer.from(text, "utf8");
}

export function hex(digits: string): Uint8Array {
  return Buffer.from(digits.replaceAll(" ", ""), "hex");
}

export function repeat(pattern: Uint8Array, length: number): Payload {
  return { pattern, length };
}

/** The bytes themselves. A new buffer for a pattern. */
export function payloadBytes(payload: Payload): Uint8Array {
  if (payload instanceof Uint8Array) return payload;
  return payload.length === 0 ? Buffer.alloc(0) : Buffer.alloc(payload.length, payload.pattern);
}

export function payloadIs(payload: Payload, candidate: Uint8Array): boolean {
  return payload.length === candidate.length && Buffer.compare(payloadBytes(payload), candidate) === 0;
}

/** A Close frame's payload: a code, and a reason that need not be what it should be. */
export function closePayload(code: number, reason: Uint8Array = Buffer.alloc(0)): Uint8Array {
  const payload = Buffer.alloc(2 + reason.length);
  payload.writeUInt16BE(code);
  payload.set(reason, 2);
  return payload;
}

export function text(payload: Uint8Array | string, extra: Omit<Frame, "opcode" | "payload"> = {}): Frame {
  return { opcode: TEXT, payload: typeof payload === "string" ? bytes(payload) : payload, ...extra };
}

export function continuation(payload: Uint8Array | string, fin: boolean): Frame {
  return { opcode: CONTINUATION, payload: typeof payload === "string" ? bytes(payload) : payload, fin };
}

export function ping(payload = ""): Frame {
  return { opcode: PING, payload: bytes(payload) };
}

export function close(code: number, reason?: Uint8Array): Frame {
  return { opcode: CLOSE, payload: closePayload(code, reason) };
}

export function textEvent(payload: Payload | string): Event {
  return { is: "message", text: true, payload: typeof payload === "string" ? bytes(payload) : payload };
}

export function binaryEvent(payload: Payload): Event {
  return { is: "message", text: false, payload };
}

export function pongEvent(payload: Uint8Array | string): Event {
  return { is: "pong", payload: typeof payload === "string" ? bytes(payload) : payload };
}

/** The suite closes with 1000 when it has seen what it wanted, and the remote answers. */
export const CLOSED_BY_SUITE: CloseExpectation = { by: "suite", codes: [1000], clean: true };

/** The remote must fail the connection, and the suite gets to know why. */
export function failedByRemote(...codes: readonly number[]): CloseExpectation {
  return { by: "remote", codes, clean: false };
}
