import type { HeaderInput, Refusal } from "@tungstate/protocol";
import { describe } from "../../options/describe.ts";
import { hasOnly } from "../../options/plain-object.ts";

/** Admits a request, and adds to the 101. */
export interface Grant {
  /** The subprotocol: one of those offered. Default: chosen by `protocols`. */
  readonly protocol?: string | undefined;
  /** Additional header fields of the 101. */
  readonly headers?: HeaderInput | undefined;
}

/**
 * What `authorize` may return. `true` and a Grant admit. `false` refuses with 403, a Refusal with
 * that response. Any other value, an object with other fields included, refuses with 403.
 */
export type Decision = boolean | Grant | Refusal;

/** A checked decision. `detail` tells the application that its decision was not a valid one. */
export type Judgement =
  | { readonly admits: true; readonly grant: Grant }
  | { readonly admits: false; readonly refusal: Refusal | undefined; readonly detail: string | undefined };

const GRANTED: Judgement = { admits: true, grant: {} };
const GRANT_FIELDS: ReadonlySet<unknown> = new Set<keyof Grant>(["protocol", "headers"]);
const REFUSAL_FIELDS: ReadonlySet<unknown> = new Set<keyof Refusal>(["status", "headers", "body"]);

/**
 * Checks what `authorize` returned, or what its promise resolved to. Only a literal `true` and a
 * Grant admit.
 */
export function checkDecision(decision: unknown): Judgement {
  if (decision === true) return GRANTED;
  if (hasOnly<Grant>(decision, GRANT_FIELDS)) return { admits: true, grant: decision };
  if (hasOnly<Refusal>(decision, REFUSAL_FIELDS)) return { admits: false, refusal: decision, detail: undefined };
  const detail =
    decision === false
      ? undefined
      : `authorize must return true, { protocol?, headers? }, false or { status, headers?, body? }, got ${describe(decision)}`;
  return { admits: false, refusal: undefined, detail };
}
