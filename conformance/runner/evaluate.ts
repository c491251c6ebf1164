import { type ConformanceCase, type Event, payloadBytes, payloadIs } from "../cases/case.ts";
import type { ReceivedClose } from "../wire/inbound.ts";

/** From best to worst. UNIMPLEMENTED: an extension that was not negotiated. */
export const VERDICTS = ["OK", "INFORMATIONAL", "NON-STRICT", "UNIMPLEMENTED", "FAILED"] as const;
export type Verdict = (typeof VERDICTS)[number];

/** Everything observed in a case. */
export interface Observed {
  readonly events: readonly Event[];
  readonly close: ReceivedClose | undefined;
  readonly closedFirst: "suite" | "remote" | undefined;
  /** The remote ended the byte stream. */
  readonly ended: boolean;
  /** A violation of the protocol by the remote, in any case. */
  readonly violation: string | undefined;
  readonly mismatch: string | undefined;
  /** What did not arrive before the deadline. */
  readonly missing: string | undefined;
  /** The case requires compression, which was not negotiated. */
  readonly declined: boolean;
}

export interface Finding {
  readonly verdict: Verdict;
  readonly reason: string;
}

export interface Evaluation {
  /** Returns the worse of the two. */
  readonly verdict: Verdict;
  readonly behaviour: Finding;
  readonly close: Finding;
  /** The code of the remote's Close; "empty" for a Close without one, "none" for no Close. */
  readonly closeCode: number | "empty" | "none";
}

const FINE: Finding = { verdict: "OK", reason: "" };

function failed(reason: string): Finding {
  return { verdict: "FAILED", reason };
}

function worse(a: Verdict, b: Verdict): Verdict {
  return VERDICTS.indexOf(a) > VERDICTS.indexOf(b) ? a : b;
}

export function evaluate(test: ConformanceCase, observed: Observed): Evaluation {
  const open = test.informational !== undefined;
  const behaviour = always(observed) ?? (open ? informational(test.informational) : evaluateBehaviour(test, observed));
  const close = unended(observed) ?? (open ? informational(test.informational) : evaluateClose(test, observed));
  const closeCode = observed.close === undefined ? "none" : (observed.close.code ?? "empty");
  return { verdict: worse(behaviour.verdict, close.verdict), behaviour, close, closeCode };
}

/** The result of a case that could not start, or failed outside of the protocol. */
export function notPlayed(reason: string): Evaluation {
  return { verdict: "FAILED", behaviour: failed(reason), close: failed("no connection"), closeCode: "none" };
}

function informational(why: string): Finding {
  return { verdict: "INFORMATIONAL", reason: why };
}

/** Violations that are failures in every case. */
function always({ violation, mismatch }: Observed): Finding | undefined {
  if (violation !== undefined) return failed(`the remote broke the protocol: ${violation}`);
  return mismatch === undefined ? undefined : failed(mismatch);
}

function unended({ missing, ended }: Observed): Finding | undefined {
  if (missing !== undefined) return failed(missing);
  return ended ? undefined : failed("the connection was not ended");
}

function evaluateBehaviour({ ok, nonStrict }: ConformanceCase, { events, declined }: Observed): Finding {
  if (declined) return { verdict: "UNIMPLEMENTED", reason: "permessage-deflate was offered and not agreed" };
  if (isSame(events, ok)) return FINE;
  const seen = `expected ${describe(ok)}, saw ${describe(events)}`;
  return nonStrict !== undefined && isSame(events, nonStrict) ? { verdict: "NON-STRICT", reason: seen } : failed(seen);
}

function evaluateClose({ close: expected }: ConformanceCase, { close, closedFirst }: Observed): Finding {
  const wanted = `a Close with ${expected.codes.join(" or ")}`;
  if (expected.by === "suite" && closedFirst === "remote") {
    return failed(`the remote closed first, with ${close?.code ?? "no code"}`);
  }
  if (expected.by === "suite" && closedFirst === undefined) return failed("the remote dropped the connection");
  if (close === undefined) {
    const reason = `expected ${wanted}, but the connection was dropped without one`;
    return expected.clean ? failed(reason) : { verdict: "NON-STRICT", reason };
  }
  if (close.code === undefined) {
    const reason = `expected ${wanted}, but it had no code`;
    return (expected.emptyAllowed ?? false) ? FINE : { verdict: "NON-STRICT", reason };
  }
  return expected.codes.includes(close.code) ? FINE : failed(`expected ${wanted}, but it had ${close.code}`);
}

function isSame(events: readonly Event[], expected: readonly Event[]): boolean {
  return events.length === expected.length && events.every((event, index) => isSameEvent(event, expected[index]));
}

function isSameEvent(event: Event, expected: Event | undefined): boolean {
  if (expected === undefined || event.is !== expected.is) return false;
  if (event.is === "checkpoint") return expected.is === "checkpoint" && event.name === expected.name;
  if (expected.is === "checkpoint") return false;
  if (event.is === "message" && (expected.is !== "message" || event.text !== expected.text)) return false;
  return payloadIs(expected.payload, payloadBytes(event.payload));
}

const SHOWN_BYTES = 32;

function describe(events: readonly Event[]): string {
  return events.length === 0 ? "nothing" : events.map(describeEvent).join(", ");
}

function describeEvent(event: Event): string {
  if (event.is === "checkpoint") return `checkpoint ${event.name}`;
  const bytes = Buffer.from(payloadBytes(event.payload));
  const start = bytes.subarray(0, SHOWN_BYTES).toString("hex");
  const kind = event.is === "message" ? (event.text ? "text" : "binary") : event.is;
  return `${kind} of ${bytes.length} bytes${bytes.length === 0 ? "" : ` (${start}${bytes.length > SHOWN_BYTES ? "..." : ""})`}`;
}
