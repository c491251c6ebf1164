import assert from "node:assert/strict";
import { test } from "node:test";
import type { Deployment } from "../../src/redis/deployment.ts";
import { Publisher } from "../../src/redis/publisher.ts";
import type { Server } from "../../src/redis/server.ts";

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/**
 * A slot that moves from one server to the other. The old server's replies are delayed until
 * requested.
 */
class MovingSlot implements Deployment {
  readonly name = "moving";
  readonly database = 0;
  readonly isCluster = true;
  readonly publishes = "SPUBLISH";
  readonly published: string[] = [];
  readonly reported: (() => void)[] = [];
  private hasMoved = false;
  private readonly old = this.server(
    () => new Promise((_, reject) => this.reported.push(() => reject(new Error("MOVED 1 h:1")))),
  );
  private readonly next = this.server(async (args) => {
    const bodies = args.filter((_, i) => i >= 2 && (i - 2) % 6 === 1).map(String);
    this.published.push(...bodies);
    return bodies.flatMap(() => [1, "e", 0]);
  });

  serverOf(): Server {
    return this.hasMoved ? this.next : this.old;
  }

  async redirect(): Promise<{ server: Server; asking: boolean }> {
    await turn(); // it looks up the slot
    this.hasMoved = true;
    return { server: this.next, asking: false };
  }

  servers(): readonly Server[] {
    return [];
  }

  async start(): Promise<void> {}
  async refresh(): Promise<void> {}

  stop(): void {}

  onMoved(): () => void {
    return () => undefined;
  }

  private server(run: (args: readonly (string | number)[]) => Promise<unknown>): Server {
    return { run: (_script: unknown, _keys: unknown, args: readonly (string | number)[]) => run(args) } as Server;
  }
}

test("a moved slot does not change the order of publications", async () => {
  const slot = new MovingSlot();
  const publisher = new Publisher(slot, () => "epoch");
  const publish = (body: string): Promise<unknown> =>
    publisher.publish("{a}", ["{a}:m", "{a}:s", "{a}:m"], ["{a}", body, 1, 1, 1, ""]);
  const results = [publish("1")];
  await turn();
  results.push(publish("2"));
  await turn();
  assert.equal(slot.reported.length, 2, "both were sent to the old server");
  slot.reported[0]?.();
  for (let i = 0; i < 5; i++) await turn();
  results.push(publish("3"));
  for (let i = 0; i < 5; i++) await turn();
  slot.reported[1]?.();
  await Promise.all(results);
  assert.deepEqual(slot.published, ["1", "2", "3"]);
  // and continues as usual
  await publish("4");
  assert.deepEqual(slot.published, ["1", "2", "3", "4"]);
});
