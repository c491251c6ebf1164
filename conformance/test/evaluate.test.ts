import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { CASES, groupOf } from "../cases/table.ts";
import type { Evaluation, Verdict } from "../runner/evaluate.ts";
import { type Role, runCases, type RunOptions } from "../runner/run.ts";
import { echoTarget, type Faults } from "./echo-peer.ts";

/** For cases that end at a deadline: long enough for everything before it. */
const SHORT: RunOptions = { deadlineMs: 400 };
const INFORMATIONAL = ["7.1.6", "7.13.1", "7.13.2"];

async function evaluations(
  faults: Faults,
  role: Role,
  ids: readonly string[],
  options: RunOptions = {},
): Promise<ReadonlyMap<string, Evaluation>> {
  const cases = CASES.filter(({ id }) => ids.includes(id));
  assert.equal(cases.length, ids.length, "every id names a case");
  const results = await runCases(echoTarget(faults), role, cases, { messages: 3, ...options });
  return new Map(results.map(({ id, evaluation }) => [id, evaluation]));
}

for (const role of ["server", "client"] as const) {
  test(`an implementation without faults passes every case, as ${role}`, async () => {
    const ids = CASES.map(({ id }) => id).filter((id) => ![9, 12, 13].includes(groupOf(id)));
    const large = ["9.1.1", "9.3.1", "9.5.6", "9.8.5", "12.1.1", "12.2.11", "12.5.5"];
    const parameters = Array.from({ length: 7 }, (_, index) => [`13.${index + 1}.4`, `13.${index + 1}.12`]).flat();
    const all = [...ids, ...large, ...parameters];
    for (const [id, { verdict, behaviour, close }] of await evaluations({}, role, all)) {
      const expected = INFORMATIONAL.includes(id) ? "INFORMATIONAL" : "OK";
      assert.equal(verdict, expected, `${id}: ${behaviour.reason} ${close.reason}`);
    }
  });
}

interface Wrong {
  readonly name: string;
  readonly faults: Faults;
  readonly cases: readonly string[];
  readonly verdict?: Verdict;
  /** The expected verdict. */
  readonly reason: RegExp;
  /** Cases that the same implementation passes. */
  readonly right?: readonly string[];
  /** Its cases end at a deadline. */
  readonly hangs?: boolean;
  /** It does not answer the handshake. */
  readonly isDeaf?: boolean;
  /** Default: both. */
  readonly role?: Role;
}

const WRONG: readonly Wrong[] = [
  {
    name: "echoes another payload",
    faults: { echo: "changed" },
    cases: ["1.1.2", "1.1.8", "1.2.7", "5.3", "6.2.1", "9.1.1", "9.7.2", "10.1.1", "12.1.5"],
    reason: /^expected (text|binary) of|was not echoed correctly/,
    right: ["1.1.1", "2.2", "3.1", "7.3.3", "9.7.1"],
  },
  {
    name: "echoes text as binary",
    faults: { echo: "other type" },
    cases: ["1.1.1", "1.2.1", "9.7.1"],
    reason: /^expected (text|binary) of|was not echoed correctly/,
    right: ["2.1"],
  },
  {
    name: "echoes twice",
    faults: { echo: "twice" },
    cases: ["1.1.2", "5.3", "9.8.2"],
    reason: /^expected/,
    right: ["2.1", "7.3.3"],
  },
  {
    name: "echoes nothing",
    faults: { echo: "none" },
    cases: ["1.1.2", "9.7.1", "9.1.1"],
    reason: /^expected|did not arrive/,
    right: ["2.2", "7.3.3"],
    hangs: true,
  },
  {
    name: "sets RSV1 without an extension",
    faults: { echo: "with RSV1" },
    cases: ["1.1.2", "1.2.2"],
    reason: /broke the protocol: RSV = 4/,
    right: ["2.2", "12.1.1"],
  },
  { name: "sends no pongs", faults: { pong: "none" }, cases: ["2.1", "2.10", "5.6"], reason: /^expected/, hangs: true },
  { name: "sends wrong pongs", faults: { pong: "changed" }, cases: ["2.2", "2.9", "2.11"], reason: /^expected pong/ },
  {
    name: "answers a ping only after the message around it",
    faults: { pong: "late" },
    cases: ["5.6", "5.7", "5.8"],
    reason: /^expected pong/,
    right: ["2.1", "5.3"],
  },
  {
    name: "ignores reserved bits",
    faults: { accepts: ["rsv"] },
    cases: ["3.1", "3.2", "3.3", "3.4", "3.5", "3.6"],
    reason: /^expected/,
    right: ["1.1.1", "4.1.1"],
    hangs: true,
  },
  {
    name: "ignores reserved bits of a Close",
    faults: { accepts: ["rsv"] },
    cases: ["3.7"],
    verdict: "NON-STRICT",
    reason: /it had no code/,
  },
  {
    name: "ignores reserved opcodes",
    faults: { accepts: ["opcodes"] },
    cases: ["4.1.1", "4.1.2", "4.1.3", "4.1.5", "4.2.1", "4.2.2", "4.2.4", "4.2.5"],
    reason: /did not arrive within|^expected/,
    right: ["3.1"],
    hangs: true,
  },
  {
    name: "accepts long control frames",
    faults: { accepts: ["long control"] },
    cases: ["2.5"],
    reason: /broke the protocol: a control frame of 126 bytes/,
    right: ["2.4"],
    hangs: true,
  },
  {
    name: "accepts a Close that is too long",
    faults: { accepts: ["long control"] },
    cases: ["7.3.6"],
    reason: /expected a Close with 1002, but it had 1000/,
    right: ["7.3.5"],
  },
  {
    name: "accepts fragmented control frames",
    faults: { accepts: ["fragmented control", "orphans"] },
    cases: ["5.1", "5.2"],
    reason: /^expected nothing/,
    hangs: true,
  },
  {
    name: "accepts continuations without a message",
    faults: { accepts: ["orphans"] },
    cases: ["5.9", "5.10", "5.11", "5.17"],
    reason: /^expected nothing/,
    right: ["5.3"],
    hangs: true,
  },
  {
    name: "accepts a message inside another",
    faults: { accepts: ["interleaved"] },
    cases: ["5.18"],
    reason: /^expected nothing/,
    right: ["5.8"],
    hangs: true,
  },
  {
    name: "accepts text that is not UTF-8",
    faults: { utf8: "unchecked" },
    cases: ["6.3.1", "6.3.2", "6.4.1", "6.4.2", "6.4.3", "6.4.4", "6.6.1", "6.11.5", "6.14.1", "6.20.1"],
    reason: /broke the protocol: a text message that is not UTF-8/,
    right: ["6.2.1", "6.2.3", "6.22.1"],
  },
  {
    name: "validates UTF-8 when the message is complete",
    faults: { utf8: "when whole" },
    cases: ["6.4.1", "6.4.2", "6.4.3", "6.4.4"],
    verdict: "NON-STRICT",
    reason: /saw checkpoint A, checkpoint B/,
    right: ["6.3.1", "6.3.2", "6.6.1", "6.20.1"],
  },
  {
    name: "masks as the other role must",
    faults: { masking: "wrong" },
    cases: ["1.1.1", "2.1", "7.3.3"],
    reason: /masked frame/,
  },
  {
    name: "does not answer a Close",
    faults: { close: "none" },
    cases: ["1.1.1", "2.7", "3.1", "6.3.1", "7.3.3", "7.9.1"],
    reason: /a Close did not arrive within/,
    hangs: true,
  },
  {
    name: "closes with another code",
    faults: { close: 1001 },
    cases: ["1.1.1", "3.1", "6.3.1", "7.3.1", "7.5.1", "7.7.1", "7.9.1"],
    reason: /but it had 1001/,
    right: ["7.7.2"],
  },
  {
    name: "closes with a code that must not be sent",
    faults: { close: 1005 },
    cases: ["1.1.1", "3.1", "7.13.1"],
    reason: /broke the protocol: a Close with the code 1005/,
  },
  {
    name: "closes without a code",
    faults: { close: "without code" },
    cases: ["1.1.1", "3.1", "6.3.1", "7.9.1"],
    verdict: "NON-STRICT",
    reason: /but it had no code/,
    right: ["7.3.1"],
  },
  {
    name: "drops the connection when it must fail it",
    faults: { close: "dropped" },
    cases: ["3.1", "6.3.1", "7.3.2", "7.9.1"],
    verdict: "NON-STRICT",
    reason: /dropped without one/,
  },
  {
    name: "drops the connection when it must answer a Close",
    faults: { close: "dropped" },
    cases: ["1.1.1", "7.3.1", "7.3.3", "7.7.2"],
    reason: /dropped without one/,
  },
  {
    name: "accepts any payload of a Close",
    faults: { accepts: ["close payloads"] },
    cases: ["7.5.1", "7.9.1", "7.9.5", "7.9.9"],
    reason: /but it had|broke the protocol/,
    right: ["7.3.3"],
  },
  {
    name: "accepts a Close with a payload of one byte, and answers without a code",
    faults: { accepts: ["close payloads"] },
    cases: ["7.3.2"],
    verdict: "NON-STRICT",
    reason: /it had no code/,
  },
  {
    name: "answers a ping after a Close",
    faults: { afterClose: "goes on" },
    cases: ["7.1.3"],
    reason: /^expected nothing, saw pong/,
    right: ["7.1.1"],
  },
  {
    name: "echoes a message after a Close",
    faults: { afterClose: "goes on" },
    cases: ["7.1.4"],
    reason: /a data frame behind a Close/,
  },
  {
    name: "sends a message after its Close",
    faults: { afterClose: "sends more" },
    cases: ["1.1.1", "3.1", "7.1.6"],
    reason: /a data frame behind a Close/,
  },
  {
    name: "leaves the connection open",
    faults: { afterClose: "stays open" },
    cases: ["1.1.1", "3.1", "7.1.6", "7.3.3"],
    reason: /did not arrive within|did not end within/,
    hangs: true,
  },
  {
    name: "does not compress",
    faults: { deflate: "declined" },
    cases: ["12.1.1", "13.1.1"],
    verdict: "UNIMPLEMENTED",
    reason: /not agreed/,
  },
  {
    name: "uses context takeover although it agreed not to",
    faults: { deflate: "context taken over" },
    cases: ["13.2.5", "13.6.6"],
    reason: /does not inflate as agreed/,
    right: ["13.1.5"],
  },
  {
    name: "compresses with a wider window than agreed",
    faults: { deflate: "widest window" },
    cases: ["13.3.5", "13.5.6"],
    reason: /does not inflate as agreed/,
    right: ["13.4.5"],
  },
  {
    name: "answers with a wrong Sec-WebSocket-Accept",
    faults: { handshake: "wrong accept" },
    cases: ["1.1.1"],
    reason: /wrong Sec-WebSocket-Accept/,
    role: "server",
  },
  {
    name: "does not answer the handshake",
    faults: { handshake: "none" },
    cases: ["1.1.1"],
    reason: /no (handshake|connection): /,
    isDeaf: true,
  },
];

// Most of these wait for a deadline.
describe("wrong implementations", { concurrency: 8 }, () => {
  for (const {
    name,
    faults,
    cases,
    verdict = "FAILED",
    reason,
    right = [],
    hangs = false,
    isDeaf = false,
    role,
  } of WRONG) {
    for (const played of role === undefined ? (["server", "client"] as const) : [role]) {
      test(`a ${played} that ${name} is ${verdict}`, async () => {
        for (const [id, evaluation] of await evaluations(
          faults,
          played,
          cases,
          isDeaf ? { handshakeDeadlineMs: 100 } : hangs ? SHORT : {},
        )) {
          const { behaviour, close } = evaluation;
          assert.equal(evaluation.verdict, verdict, id);
          assert.ok(
            [behaviour.reason, close.reason].some((said) => reason.test(said)),
            `${id}: ${behaviour.reason}; ${close.reason}`,
          );
        }
        for (const [id, evaluation] of await evaluations(faults, played, right)) {
          assert.equal(evaluation.verdict, "OK", `${id}: ${evaluation.behaviour.reason}; ${evaluation.close.reason}`);
        }
      });
    }
  }
});
