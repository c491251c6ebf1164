import type { ConformanceCase } from "../cases/case.ts";
import { groupOf } from "../cases/table.ts";
import type { Target } from "../targets/target.ts";
import { startDeadline } from "./deadline.ts";
import { connectPeer } from "./fuzzing-client.ts";
import { FuzzingServer } from "./fuzzing-server.ts";
import { evaluate, type Evaluation, notPlayed } from "./evaluate.ts";
import type { Peer } from "./peer.ts";
import { play, type Sibling } from "./play.ts";

/** The role of the target. */
export type Role = "server" | "client";

export interface Result {
  readonly id: string;
  readonly evaluation: Evaluation;
}

export interface RunOptions {
  /** Deadline for each expected event. */
  readonly deadlineMs?: number;
  readonly handshakeDeadlineMs?: number;
  /** Maximum number of round trips of a compressed case. */
  readonly messages?: number;
}

/** Long enough for a loaded machine. It only elapses if an implementation hangs. */
const DEADLINE_MS = 30_000;
const ALL_MESSAGES = 1000;
const CONCURRENT_CASES = 16;
/** Cases of many megabytes, run one at a time to limit memory. */
const CONCURRENT_LARGE_CASES = 4;
export const LARGE_GROUPS: ReadonlySet<number> = new Set([9, 12, 13]);

interface Connection {
  readonly peer: Peer;
  /** Resolves when the target has finished the connection, with an error if it failed. */
  readonly done: (deadlineMs: number) => Promise<string | undefined>;
}

/** Connections between the suite and the target. */
interface Endpoint {
  open(test: Pick<ConformanceCase, "id" | "deflate">, deadlineMs: number): Promise<Connection>;
  close(): Promise<void>;
}

async function serverEndpoint(target: Target): Promise<Endpoint> {
  const server = await target.startServer();
  const url = new URL(`ws://127.0.0.1:${server.port}/echo`);
  return {
    open: async ({ deflate }, deadlineMs) => ({
      peer: await connectPeer(url, deflate ?? [], deadlineMs),
      done: () => Promise.resolve(undefined),
    }),
    close: () => server.close(),
  };
}

async function clientEndpoint(target: Target): Promise<Endpoint> {
  const server = await FuzzingServer.listen();
  return {
    async open({ id, deflate }, deadlineMs) {
      const { url, peer } = server.expect(id, deflate ?? []);
      const abort = new AbortController();
      const running = target.runClient(url, abort.signal).then(
        () => undefined,
        (error: unknown) => String(error),
      );
      const withoutConnection = running.then((error) => {
        throw new Error(`no connection: ${error ?? "the client ended"}`);
      });
      let cancel = (): void => {};
      const late = new Promise<never>((_, reject) => {
        cancel = startDeadline(deadlineMs, () => reject(new Error(`no connection within ${deadlineMs} ms`)));
      });
      try {
        return {
          peer: await Promise.race([peer, withoutConnection, late]),
          async done(ms) {
            const outcome = await new Promise<string | undefined>((resolve) => {
              const stop = startDeadline(ms, () => resolve(`the client did not end within ${ms} ms of its connection`));
              void running.then(resolve).finally(stop);
            });
            abort.abort();
            return outcome;
          },
        };
      } catch (error) {
        abort.abort();
        throw error;
      } finally {
        withoutConnection.catch(() => {});
        cancel();
      }
    },
    close: () => server.close(),
  };
}

async function openSibling(endpoint: Endpoint, deadlineMs: number): Promise<Sibling> {
  const { peer, done } = await endpoint.open({ id: "sibling" }, deadlineMs);
  let pings = 0;
  return {
    async roundTrip() {
      pings += 1;
      await peer.checkpoint(`of the sibling ${pings}`, deadlineMs);
    },
    async close() {
      peer.sendClose(1000);
      await peer.until(() => peer.hasEnded, deadlineMs);
      if (peer.role === "server") peer.end();
      await peer.until(() => peer.ended, deadlineMs);
      peer.destroy();
      await done(deadlineMs);
    },
  };
}

async function runCase(
  test: ConformanceCase,
  endpoint: Endpoint,
  { deadlineMs = DEADLINE_MS, handshakeDeadlineMs = DEADLINE_MS, messages = ALL_MESSAGES }: RunOptions,
): Promise<Evaluation> {
  let peer: Peer | undefined;
  try {
    const connection = await endpoint.open(test, handshakeDeadlineMs);
    peer = connection.peer;
    const sibling = (): Promise<Sibling> => openSibling(endpoint, deadlineMs);
    const { mismatch, missing } = await play(test, peer, { deadlineMs, messages, sibling });
    const { events, close, closedFirst, ended, violation, deflater } = peer;
    peer.destroy();
    const fault = await connection.done(deadlineMs);
    return evaluate(test, {
      events,
      close,
      closedFirst,
      ended,
      violation,
      mismatch: mismatch ?? fault,
      missing,
      declined: test.deflate !== undefined && deflater === undefined,
    });
  } catch (error) {
    peer?.destroy();
    return notPlayed(error instanceof Error ? error.message : String(error));
  }
}

/**
 * Runs the cases against the target concurrently. Returns the results in the order of the cases.
 */
export async function runCases(
  target: Target,
  role: Role,
  cases: readonly ConformanceCase[],
  options: RunOptions = {},
): Promise<readonly Result[]> {
  const endpoint = await (role === "server" ? serverEndpoint(target) : clientEndpoint(target));
  const results = new Map<string, Result>();
  const runAll = async (some: readonly ConformanceCase[], concurrency: number): Promise<void> => {
    const waiting = some.values();
    const worker = async (): Promise<void> => {
      for (const test of waiting) {
        results.set(test.id, { id: test.id, evaluation: await runCase(test, endpoint, options) });
      }
    };
    await Promise.all(Array.from({ length: concurrency }, worker));
  };
  try {
    await runAll(
      cases.filter(({ id }) => !LARGE_GROUPS.has(groupOf(id))),
      CONCURRENT_CASES,
    );
    await runAll(
      cases.filter(({ id }) => LARGE_GROUPS.has(groupOf(id))),
      CONCURRENT_LARGE_CASES,
    );
  } finally {
    await endpoint.close();
  }
  return cases.flatMap(({ id }) => results.get(id) ?? []);
}
