/**
 * The definition of a case: bytes to send, expected events, and how the connection must end. Cases
 * are data; `runner/` runs them. Group and case numbers are those of the Autobahn Testsuite, so
 * that results can be compared.
 */

/**
 * Literal bytes, or a pattern repeated up to a length, which keeps the tables of large messages
 * small.
 */
export type Payload = Uint8Array | { readonly pattern: Uint8Array; readonly length: number };

export interface Frame {
  readonly opcode: number;
  /** Default true. */
  readonly fin?: boolean;
  /** The three reserved bits as a number: RSV1 is 4, RSV2 is 2, RSV3 is 1. Default 0. */
  readonly rsv?: number;
  readonly payload?: Payload;
}

/**
 * How the bytes of a step are split into writes: one write, one write per frame, or a number of
 * bytes per write.
 */
export type Chop = "whole" | "frames" | number;

export type Step =
  | { readonly do: "send"; readonly frames: readonly Frame[]; readonly chop: Chop }
  /**
   * A message in fragments of `fragmentSize` bytes. A message that divides evenly gets an empty
   * last fragment.
   */
  | { readonly do: "send-message"; readonly text: boolean; readonly payload: Payload; readonly fragmentSize: number }
  /**
   * A frame in several writes, split after the payload bytes `cuts`, with a checkpoint between two
   * writes.
   */
  | {
      readonly do: "send-in-pieces";
      readonly frame: Frame;
      readonly cuts: readonly number[];
      readonly checkpoints: readonly string[];
    }
  /** Continues when the remote has proved that it read everything sent and is still open. */
  | { readonly do: "checkpoint"; readonly name: string }
  /** Continues when that many events have arrived in total. */
  | { readonly do: "await-events"; readonly count: number }
  /** Sends one message after the other, each when the previous one was echoed. */
  | {
      readonly do: "round-trips";
      readonly count: number;
      readonly text: boolean;
      readonly length: number;
      readonly source: Uint8Array | CorpusName;
      /** 0: not fragmented. */
      readonly fragmentSize: number;
    };

export type CorpusName = "json" | "bitmap" | "prose" | "html" | "document";

export type Event =
  | { readonly is: "message"; readonly text: boolean; readonly payload: Payload }
  | { readonly is: "ping" | "pong"; readonly payload: Payload }
  | { readonly is: "checkpoint"; readonly name: string };

export interface CloseExpectation {
  /** Who must send the first Close frame: the suite or the implementation under test. */
  readonly by: "suite" | "remote";
  /** Codes that the remote's Close may have. */
  readonly codes: readonly number[];
  /** The remote's Close may also have no code, as an answer to a Close without one. */
  readonly emptyAllowed?: boolean;
  /**
   * Whether the closing handshake must complete; if not, a dropped connection is not strict, but
   * not a failure.
   */
  readonly clean: boolean;
}

/** What one side of permessage-deflate requests of the other's compressor. */
export interface DeflatePreference {
  readonly noContextTakeover: boolean;
  /** 0: not requested. */
  readonly windowBits: number;
}

export interface ConformanceCase {
  readonly id: string;
  readonly title: string;
  readonly steps: readonly Step[];
  readonly ok: readonly Event[];
  /** Permitted by the RFC, but not what a strict implementation does. */
  readonly nonStrict?: readonly Event[];
  readonly close: CloseExpectation;
  /**
   * Why the RFC leaves the outcome open. Only a violation, or a connection that does not end, is a
   * failure then.
   */
  readonly informational?: string;
  /** permessage-deflate parameters to request, most preferred first. */
  readonly deflate?: readonly DeflatePreference[];
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

/** Returns the bytes; a new buffer for a pattern. */
export function payloadBytes(payload: Payload): Uint8Array {
  if (payload instanceof Uint8Array) return payload;
  return payload.length === 0 ? Buffer.alloc(0) : Buffer.alloc(payload.length, payload.pattern);
}

export function payloadIs(payload: Payload, candidate: Uint8Array): boolean {
  return payload.length === candidate.length && Buffer.compare(payloadBytes(payload), candidate) === 0;
}

/** Returns the payload of a Close frame: a code and a reason, which may be invalid. */
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

/** The suite closes with 1000 after the expected events, and the remote answers. */
export const CLOSED_BY_SUITE: CloseExpectation = { by: "suite", codes: [1000], clean: true };

/** The remote must fail the connection, and the suite must receive the reason. */
export function failedByRemote(...codes: readonly number[]): CloseExpectation {
  return { by: "remote", codes, clean: false };
}
