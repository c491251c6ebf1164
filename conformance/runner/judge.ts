import { type ConformanceCase, type Event, payloadBytes, payloadIs } from "../cases/case.ts";
import type { ReceivedClose } from "../wire/inbound.ts";

/** From best to worst. UNIMPLEMENTED: an extension that was not agreed. */
export const VERDICTS = ["OK", "INFORMATIONAL", "NON-STRICT", "UNIMPLEMENTED", "FAILED"] as const;
export type Verdict = (typeof VERDICTS)[number];

/** All that a case showed. */
export interface Observed {
  readonly events: readonly Event[];
  readonly close: ReceivedClose | undefined;
  readonly closedFirst: "suite" | "remote" | undefined;
  /** The remote ended the byte stream. */
  readonly ended: boolean;
  /** What the remote did against the protocol, whatever the case was. */
  readonly violation: string | undefined;
  readonly mismatch: string | undefined;
  /** What did not come before the deadline. */
  readonly missing: string | undefined;
  /** The case asks for compression, and it was not agreed. */
  readonly declined: boolean;
}

export interface Finding {
  readonly verdict: Verdict;
  readonly reason: string;
}

export interface Judgement {
  /** The worse of the two. */
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

export function judge(test: ConformanceCase, observed: Observed): Judgement {
  const open = test.informational !== undefined;
  const behaviour = always(observed) ?? (open ? informational(test.informational) : judgeBehaviour(test, observed));
  const close = unended(observed) ?? (open ? informational(test.informational) : judgeClose(test, observed));
  const closeCode = observed.close === undefined ? "none" : (observed.close.code ?? "empty");
  return { verdict: worse(behaviour.verdict, close.verdict), behaviour, close, closeCode };
}

/** A case that could not even begin, or went wrong outside of the protocol. */
export function notPlayed(reason: string): Judgement {
  return { verdict: "FAILED", behaviour: failed(reason), close: failed("no connection"), closeCode: "none" };
}

function informational(why: string): Finding {
  return { verdict: "INFORMATIONAL", reason: why };
}

/** What no implementation may do, whatever the case is. */
function always({ violation, mismatch }: Observed): Finding | undefined {
  if (violation !== undefined) return failed(`the remote broke the protocol: ${violation}`);
  return mismatch === undefined ? undefined : failed(mismatch);
}

function unended({ missing, ended }: Observed): Finding | undefined {
  if (missing !== undefined) return failed(missing);
  return ended ? undefined : failed("the connection was not ended");
}

function judgeBehaviour({ ok, nonStrict }: ConformanceCase, { events, declined }: Observed): Finding {
  if (declined) return { verdict: "UNIMPLEMENTED", reason: "permessage-deflate was offered and not agreed" };
  if (isSame(events, ok)) return FINE;
  const seen = `expected ${describe(ok)}, saw ${describe(events)}`;
  return nonStrict !== undefined && isSame(events, nonStrict) ? { verdict: "NON-STRICT", reason: seen } : failed(seen);
}

function judgeClose({ close: expected }: ConformanceCase, { close, closedFirst }: Observed): Finding {
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
