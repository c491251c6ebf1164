import { type DeflateParams, HeaderFields, PERMESSAGE_DEFLATE } from "@tungstate/protocol";
import { memoryOf } from "@tungstate/protocol/internal";
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { driverOf, openConnection } from "../../src/connection/connection.ts";
import { MemoryBudget } from "../../src/connection/memory-budget.ts";
import { connectionSettings } from "../../src/connection/options.ts";
import { NodeRuntime } from "../../src/native/runtime.ts";
import { loadSystem } from "../../src/native/system.ts";
import { systemClock } from "../../src/schedule/clock.ts";
import { memoryPipe } from "../../src/testing/memory-pipe.ts";
import { transportOf } from "../../src/transport/of.ts";

const PARAMS: DeflateParams = Object.freeze({
  serverNoContextTakeover: true,
  clientNoContextTakeover: true,
  serverMaxWindowBits: 15,
  clientMaxWindowBits: 15,
});
const NEGOTIATED = { name: PERMESSAGE_DEFLATE, params: [], rsv: 0x40, negotiated: PARAMS };
const NO_HEADERS = new HeaderFields();
const NO_BYTES = new Uint8Array(0);

/** Two connected ends whose resources are those of `runtime`. */
function connected(runtime: NodeRuntime) {
  const streams = memoryPipe();
  const memoryBudget = new MemoryBudget(Infinity);
  return (["client", "server"] as const).map((role, index) => {
    const options = { compression: { threshold: 0, asyncThreshold: 4096 }, heartbeat: false, memoryBudget } as const;
    const settings = connectionSettings(role, options, runtime);
    const codec = settings.deflate?.codecFor([NEGOTIATED], role);
    const transport = transportOf(streams[index], { noDelay: true, runtime, transport: "auto" });
    return openConnection(transport, settings, { protocol: "", extensions: "", codec }, NO_HEADERS, NO_BYTES)
      .connection;
  });
}

/**
 * Sends messages that use every resource: small, in fragments, compressed synchronously and in the
 * thread pool. Returns the drivers of both ends.
 */
async function exchange(runtime: NodeRuntime): Promise<readonly unknown[]> {
  const [client, server] = connected(runtime);
  const sent = ["small", "x".repeat(1000), "y".repeat(100_000), new Uint8Array(5000).fill(7)];
  for (const data of sent) client.write(data);
  await client.sendStream(["a fragment", " and another"], "text");
  let received = 0;
  for await (const message of server) {
    server.write(message);
    if (++received === sent.length + 1) break;
  }
  for await (const _ of client) if (--received === 0) break;
  await client.close();
  return [driverOf(client), driverOf(server)];
}

/** Objects that can change, reachable from `roots` by properties. */
function reachable(roots: readonly unknown[], shared: ReadonlySet<unknown>): Set<object> {
  const found = new Set<object>();
  const open = [...roots];
  while (open.length > 0) {
    const value = open.pop();
    if (typeof value !== "object" || value === null || shared.has(value) || found.has(value)) continue;
    found.add(value);
    if (ArrayBuffer.isView(value)) {
      open.push(value.buffer);
      continue;
    }
    if (value instanceof Map || value instanceof Set) open.push(...value.values());
    for (const key of Reflect.ownKeys(value)) open.push(Reflect.getOwnPropertyDescriptor(value, key)?.value);
  }
  return found;
}

function stateOf(runtime: NodeRuntime): readonly unknown[] {
  const perClock = [runtime.flushers, runtime.readSchedulers, runtime.deadlines];
  return [runtime, memoryOf(runtime), ...perClock.map((each) => each.of(systemClock))];
}

describe("two runtimes in one process", () => {
  test("share no object that can change", async (t) => {
    // the chunks of a memory pipe would be parts of Node's own pool, which both have seen
    const { poolSize } = Buffer;
    t.after(() => (Buffer.poolSize = poolSize));
    Buffer.poolSize = 0;
    const runtimes = [new NodeRuntime(), new NodeRuntime()];
    const ends = await Promise.all(runtimes.map(exchange));
    // the clock and Node's private functions are those of the process
    const shared = new Set<unknown>([systemClock, loadSystem()]);
    const [one, other] = runtimes.map((runtime, index) => reachable([...stateOf(runtime), ...ends[index]], shared));
    assert.ok(one.size > 50, `${one.size} objects`);
    const both = [...one]
      .filter((each) => other.has(each) && !isEmptyOrFrozen(each))
      .map((each) => `${each.constructor.name} ${Object.keys(each).join()}`);
    assert.deepEqual(both, []);
  });

  test("an object that both have is found", () => {
    const [one, other] = [new NodeRuntime(), new NodeRuntime()];
    const pool = { zlib: one.zlib };
    const seen = [reachable([one], new Set()), reachable([other, pool], new Set())];
    assert.ok([...seen[0]].some((each) => seen[1].has(each)));
  });

  test("one works with its own streams and buffers", async () => {
    const [used, idle] = [new NodeRuntime(), new NodeRuntime()];
    await exchange(used);
    assert.ok(used.zlib.output.length > 0);
    assert.equal(idle.zlib.input.length + idle.zlib.output.length, 0);
    assert.equal(memoryOf(idle).idleParser, undefined);
  });

  test("a full queue of compression jobs of one does not delay the other", async () => {
    const [full, free] = [new NodeRuntime(), new NodeRuntime()];
    const never = Array.from({ length: 3 }, () =>
      full.deflateJobs.add<number>(
        () => () => undefined,
        () => undefined,
      ),
    );
    assert.deepEqual([full.deflateJobs.running, full.deflateJobs.waiting], [2, 1]);
    await exchange(free);
    assert.deepEqual([full.deflateJobs.running, full.deflateJobs.waiting], [2, 1]);
    for (const job of never) job.cancel();
    assert.deepEqual([full.deflateJobs.running, full.deflateJobs.waiting], [0, 0]);
  });
});

/** An empty array or an object that cannot change holds no state. */
function isEmptyOrFrozen(value: object): boolean {
  return (
    Object.isFrozen(value) ||
    (ArrayBuffer.isView(value) && value.byteLength === 0) ||
    (value instanceof ArrayBuffer && value.byteLength === 0)
  );
}
