import assert from "node:assert/strict";
import { test } from "node:test";
import type { ClientInfo } from "../../src/broker/broker.ts";
import type { PresenceStore } from "../../src/presence/presence-store.ts";

/** Stores of two hubs with shared data that nothing else uses. */
export interface StoresUnderTest {
  readonly stores: readonly [PresenceStore, PresenceStore];
  /** Advances the time of the store. */
  elapse(ms: number): Promise<void>;
  close(): Promise<void>;
}

export interface PresenceSuite {
  readonly name: string;
  setUp(): Promise<StoresUnderTest>;
}

const client = (name: string, user = "u"): ClientInfo => ({ client: name, user });

/** The contract of presence stores, as tests. */
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
    (await store.clients(channel)).clients.map((info) => info.client).sort();

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
    assert.deepEqual((await b.clients("x")).clients, [info]);
    assert.deepEqual(await b.stats("x"), { clients: 1, users: 1 });
  });

  withStores(
    "clients are returned in pages, each once or twice, whatever joins and leaves meanwhile",
    async ({ stores: [a] }) => {
      const count = 1500;
      const info = (number: number): ClientInfo => ({
        ...client(`${number}`),
        connInfo: JSON.stringify("x".repeat(100)),
      });
      for (let number = 0; number < count; number++) await a.add("x", info(number));
      const seen = new Map<string, number>();
      let pages = 0;
      let after: string | undefined;
      do {
        const page = await a.clients("x", { after, limit: 200, maxBytes: 20_000 });
        assert.ok(page.clients.length < 1000, `${page.clients.length} in a page`);
        for (const { client: name } of page.clients) seen.set(name, (seen.get(name) ?? 0) + 1);
        // one is removed, one renewed, one added
        await a.remove("x", info(1400 + pages));
        await a.renew([{ channel: "x", info: info(pages) }]);
        await a.add("x", info(count + pages));
        after = page.next;
        pages++;
      } while (after !== undefined);
      assert.ok(pages > 3, `${pages} pages`);
      for (let number = 0; number < 1400; number++)
        assert.ok((seen.get(`${number}`) ?? 0) >= 1, `${number} is missing`);
      const twice = [...seen.values()].filter((times) => times > 1).length;
      assert.ok(twice <= pages + 10 && Math.max(...seen.values()) <= 2, `${twice} came twice`);
      assert.deepEqual(await a.clients("nobody", { after: after ?? undefined, limit: 1 }), {
        clients: [],
        next: undefined,
      });
    },
  );

  withStores("a cursor that no page has returned is rejected", async ({ stores: [a] }) => {
    await a.add("x", client("1"));
    for (const channel of ["x", "nobody"]) {
      for (const after of ["", " ", "x", "-1", "1.5", "1e3", "NaN", "Infinity", "0x1", "9".repeat(30), "1\n", "é"]) {
        await assert.rejects(a.clients(channel, { after }), { name: "CommandError", code: 107 }, JSON.stringify(after));
      }
    }
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
