import { MAX_CONTROL_PAYLOAD, type WebSocketError } from "@tungstate/protocol";
import { argumentError, invalidOption } from "@tungstate/protocol/internal";
import { handled } from "../schedule/promises.ts";
import { describe } from "../options/describe.ts";

interface Pending {
  readonly payload: Uint8Array;
  readonly sentAt: number;
  resolve(roundTrip: number): void;
  reject(error: WebSocketError): void;
}

/** Pings whose pongs are awaited, oldest first. */
export class PendingPings {
  private pending: Pending[] = [];
  private next = 0;

  /** Returns the caller's payload as bytes, or a payload that no other pending ping has. */
  payload(given: Uint8Array | string | undefined): Uint8Array {
    checkPing(given);
    // not `slice`, which on a Buffer is a view
    if (given instanceof Uint8Array) return new Uint8Array(given);
    const text = given ?? `tungstate ${this.next++}`;
    return new TextEncoder().encode(text);
  }

  wait(payload: Uint8Array, sentAt: number): Promise<number> {
    return handled(new Promise((resolve, reject) => this.pending.push({ payload, sentAt, resolve, reject })));
  }

  /**
   * RFC 6455 §5.5.3: a peer may answer only the newest of several pings, so that its pong answers
   * those before it, too.
   */
  answered(payload: Uint8Array, now: number): void {
    const at = this.pending.findIndex((each) => sameBytes(each.payload, payload));
    if (at < 0) return;
    for (const each of this.pending.splice(0, at + 1)) each.resolve(now - each.sentAt);
  }

  fail(error: WebSocketError): void {
    for (const each of this.pending) each.reject(error);
    this.pending = [];
  }
}

/** Throws INVALID_ARGUMENT for a payload that a ping cannot have. */
export function checkPing(payload: unknown): asserts payload is Uint8Array | string | undefined {
  if (payload === undefined) return;
  if (typeof payload !== "string" && !(payload instanceof Uint8Array)) {
    throw invalidOption("the payload of a ping", "a string or a Uint8Array", payload, describe(payload));
  }
  // RFC 6455 §5.5: "All control frames MUST have a payload length of 125 bytes or less"
  const size = typeof payload === "string" ? Buffer.byteLength(payload) : payload.length;
  if (size <= MAX_CONTROL_PAYLOAD) return;
  throw argumentError(TypeError, `the payload of a ping must be at most ${MAX_CONTROL_PAYLOAD} bytes, got ${size}`);
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}
