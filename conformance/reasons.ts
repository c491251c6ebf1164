import { type Golden, isOk } from "./golden.ts";
import type { Role } from "./runner/run.ts";

/**
 * Why lines of golden files are not OK. Each such line has one reason, and each reason has such a
 * line.
 */
export interface Reason {
  /** Undefined: any target. */
  readonly target?: string;
  /** Undefined: both roles. */
  readonly role?: Role;
  readonly cases: readonly string[];
  readonly reason: string;
}

export const REASONS: readonly Reason[] = [
  {
    cases: ["7.1.6"],
    reason:
      "informational for all: RFC 6455 §5.5.1 leaves open how many messages received before a Close are still answered",
  },
  {
    cases: ["7.13.1", "7.13.2"],
    reason: "informational for all: RFC 6455 §7.4.2 does not define close codes of 5000 and above",
  },
  {
    target: "ws",
    cases: ["6.4.1", "6.4.2", "6.4.3", "6.4.4"],
    reason: "ws validates the UTF-8 of a message when the message is complete, not while it arrives",
  },
  {
    target: "ws",
    cases: ["9.3.1", "9.3.2", "9.4.1", "9.4.2"],
    reason:
      "ws accepts at most 16,384 fragments in a message by default (maxFragments); these have 65,537 and 16,385, and it closes with 1008",
  },
];

/** Returns missing and superfluous reasons for the golden file of one target in one role. */
export function reasonFaults(
  reasons: readonly Reason[],
  target: string,
  role: Role,
  golden: Golden,
): readonly string[] {
  const given = new Map<string, number>();
  for (const reason of reasons) {
    if ((reason.target ?? target) !== target || (reason.role ?? role) !== role) continue;
    for (const id of reason.cases) given.set(id, (given.get(id) ?? 0) + 1);
  }
  const file = `${target}-${role}`;
  const missing = [...golden].filter(([id, line]) => !isOk(line) && !given.has(id));
  return [
    ...missing.map(([id, line]) => `${file}: ${id} is ${JSON.stringify(line)} and has no reason`),
    ...[...given].flatMap(([id, times]) => {
      const line = golden.get(id);
      if (line === undefined) return [`${file}: ${id} has a reason and no line`];
      if (isOk(line)) return [`${file}: ${id} is OK and has a reason`];
      return times === 1 ? [] : [`${file}: ${id} has ${times} reasons`];
    }),
  ];
}
