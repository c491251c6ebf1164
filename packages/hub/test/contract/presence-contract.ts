import assert from "node:assert/strict";
import { test } from "node:test";
import type { ClientInfo } from "../../src/broker/broker.ts";
import type { PresenceStore } from "../../src/presence/presence-store.ts";

/** Stores of two hubs over one place, that nobody else uses. */
export interface StoresUnderTest {
  readonly stores: readonly [PresenceStore, PresenceStore];
  /** Lets time pass for the store. */
  elapse(ms: number): Promise<void>;
  close(): Promise<void>;
}

export interface PresenceSuite {
  readonly name: string;
  setUp(): Promise<StoresUnderTest>;
}

const client = (name: string, user = "u"): ClientInfo => ({ client: name, user });

/** What every presence store does: its contract, as tests. */
export function testPresenceContract(suite: PresenceSuite): void {
  const withStores = (what: string, run: (under: StoresUnderTest) => Promise<void>): void => {
    test(`${suite.name}: ${what}`, async () => {
      const under = await suite.setUp();
      try {
        for (const store of under.stores) await store.start();
        await run(under);
      } finally {
        for (const store of under.stores) await store.stop();
        await under.close();
      }
    });
  };
  const names = async (store: PresenceStore, channel: string): Promise<string[]> =>
    (await store.clients(channel)).map((info) => info.client).sort();

  withStores("who was added is there, for all, until removed", async ({ stores: [a, b] }) => {
    await a.add("x", client("1"));
    await b.add("x", client("2"));
    await a.add("y", client("1"));
    assert.deepEqual(await names(a, "x"), ["1", "2"]);
    assert.deepEqual(await names(b, "x"), ["1", "2"]);
    await b.remove("x", client("1"));
    await b.remove("x", client("never there"));
    assert.deepEqual(await names(a, "x"), ["2"]);
    assert.deepEqual(await names(a, "y"), ["1"]);
    assert.deepEqual(await names(a, "nobody"), []);
  });

  withStores("information comes as it was given; the last one counts", async ({ stores: [a, b] }) => {
    const info = { client: "1", user: "ü", connInfo: '{"a":1}', chanInfo: "[12345678901234567890]" };
    await a.add("x", client("1"));
    await a.add("x", info);
    assert.deepEqual(await b.clients("x"), [info]);
    assert.deepEqual(await b.stats("x"), { clients: 1, users: 1 });
  });

  withStores("clients and users are counted", async ({ stores: [a] }) => {
    assert.deepEqual(await a.stats("x"), { clients: 0, users: 0 });
    await a.add("x", client("1", "alice"));
    await a.add("x", client("2", "alice"));
    await a.add("x", client("3", "bob"));
    await a.add("x", client("4", ""));
    await a.add("x", client("5", ""));
    assert.deepEqual(await a.stats("x"), { clients: 5, users: 3 });
    await a.remove("x", client("1", "alice"));
    assert.deepEqual(await a.stats("x"), { clients: 4, users: 3 });
    await a.remove("x", client("2", "alice"));
    await a.remove("x", client("2", "alice"));
    assert.deepEqual(await a.stats("x"), { clients: 3, users: 2 });
  });

  withStores("who is not renewed vanishes, from counts too", async ({ stores: [a, b], elapse }) => {
    await a.add("x", client("1", "alice"));
    await a.add("x", client("2", "bob"));
    await a.add("y", client("2", "bob"));
    await elapse(a.ttl * 0.6);
    await a.renew([
      { channel: "x", info: client("2", "bob") },
      { channel: "y", info: client("2", "bob") },
    ]);
    await elapse(a.ttl * 0.6);
    assert.deepEqual(await names(b, "x"), ["2"]);
    assert.deepEqual(await b.stats("x"), { clients: 1, users: 1 });
    assert.deepEqual(await names(b, "y"), ["2"]);
    await elapse(a.ttl * 1.1);
    assert.deepEqual(await b.stats("x"), { clients: 0, users: 0 });
    assert.deepEqual(await names(b, "x"), []);
  });

  withStores(
    "renewing who has vanished brings them back; renewing nobody does nothing",
    async ({ stores: [a], elapse }) => {
      await a.renew([]);
      await a.add("x", client("1"));
      await elapse(a.ttl * 1.1);
      await a.renew([{ channel: "x", info: client("1") }]);
      assert.deepEqual(await names(a, "x"), ["1"]);
    },
  );

  withStores("calls made at once take effect in their order", async ({ stores: [a] }) => {
    await Promise.all([a.add("x", client("1")), a.remove("x", client("1")), a.add("x", client("2"))]);
    assert.deepEqual(await names(a, "x"), ["2"]);
  });

  withStores("any names", async ({ stores: [a] }) => {
    for (const name of ["__proto__", "constructor", "a b", "😀"]) {
      await a.add(name, client(name, name));
      assert.deepEqual(await names(a, name), [name]);
    }
  });
}
