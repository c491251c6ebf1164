// Tungstate 0.1: unknown methods, pings, unsubscribes and errors were not charged, and a withdrawn
// subscription was announced to all.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { CHEAP_LINES, comingsAndGoings, fullFrame, NO_COMMANDS } from "./support/attacks.ts";
import { ticks } from "./support/ends.ts";
import { HubClient, serveHub } from "./support/hub.ts";

const OPEN = { subscribe: "anyone", publish: "anyone" } as const;
const namespaces = { public: { ...OPEN, presence: true, joinLeave: true } };

describe("hub: commands that are cheap for a client", () => {
  for (const [what, line] of Object.entries(CHEAP_LINES)) {
    test(`a frame full of ${what} is paused when it exceeds the cost limit, and others are served meanwhile`, async (t) => {
      // so little is refilled during the test that nothing more is done after the limit
      const cost = { perSecond: 1_000, burst: 8 * 1024 * 1024 };
      const { hub, port, errors } = await serveHub(t, { namespaces, limits: { cost } });
      const [greedy, other] = [await HubClient.connect(t, port), await HubClient.connect(t, port)];
      greedy.socket.write(fullFrame(line));
      greedy.socket.write(fullFrame(line));
      greedy.socket.write(fullFrame(line));
      await ticks(20);
      for (let number = 0; number < 20; number++)
        assert.equal((await other.ask({ publish: { channel: "public:y", data: 1 } })).error, undefined);
      const answered = [...hub.metrics.commands.entries()].reduce((sum, [, count]) => sum + count, 0);
      assert.ok(answered < 2_000, `${answered} commands`);
      assert.deepEqual(errors, []);
    });
  }

  for (const [what, line] of Object.entries(NO_COMMANDS)) {
    test(`a frame full of ${what} ends its connection at the first command`, async (t) => {
      const { hub, port, errors } = await serveHub(t, { namespaces });
      const greedy = await HubClient.connect(t, port);
      greedy.socket.write(fullFrame(line));
      assert.equal((await greedy.socket.closed).code, 3501);
      assert.equal(hub.metrics.commandErrors.get("unknown 104"), 0);
      assert.deepEqual(errors, []);
    });
  }

  for (const [what, line] of Object.entries(CHEAP_LINES)) {
    test(`a compressed frame full of ${what} is limited by its compressed size`, async (t) => {
      const { hub, port, errors } = await serveHub(t, { namespaces, limits: { rates: false } }, { compression: true });
      const greedy = await HubClient.connect(t, port, { compression: true });
      const { bytesSent } = greedy.socket.stats;
      let replies = 0;
      greedy.socket.on("message", ({ text }) => (replies += text.split("\n").length));
      greedy.socket.write(fullFrame(line));
      assert.equal((await greedy.socket.closed).code, 3501);
      const sent = greedy.socket.stats.bytesSent - bytesSent;
      assert.ok(sent < 1_000, `${sent} bytes`);
      const answered = [...hub.metrics.commands.entries()].reduce((sum, [, count]) => sum + count, 0);
      // the handshake and the connect command also count
      assert.ok(answered + replies <= 2 * (sent + 2_000), `${answered} commands for ${sent} bytes`);
      assert.deepEqual(errors, []);
    });
  }

  test("480 subscriptions withdrawn in the same frame are not announced", async (t) => {
    const { hub, port } = await serveHub(t, { namespaces, limits: { rates: false } });
    const watcher = await HubClient.connect(t, port);
    await watcher.ask({ subscribe: { channel: "public:x" } });
    const greedy = await HubClient.connect(t, port);
    let received = 0;
    watcher.socket.on("message", ({ text }) => {
      for (const line of text.split("\n")) if (/"(join|leave)":/.test(line) && !line.includes("presence")) received++;
    });
    greedy.socket.write(comingsAndGoings("public:x", 480));
    await greedy.askText(JSON.stringify({ id: 5000, unsubscribe: { channel: "public:x" } }));
    await watcher.ask({ ping: {} });
    // on a loaded machine a frame takes several ticks; a subscription between two of them is
    // announced
    assert.ok(received <= 60, `${received} of 960 were received`);
    assert.equal((await hub.presenceStats("public:x")).clients, 1);
  });

  test("reconnecting does not reset a client's allowance", async (t) => {
    const limits = { rates: { publish: { perSecond: 0.001, burst: 5 } } };
    const { port } = await serveHub(t, { namespaces, limits });
    let accepted = 0;
    for (let connection = 0; connection < 4; connection++) {
      const client = await HubClient.connect(t, port);
      for (let number = 0; number < 5; number++) {
        if ((await client.ask({ publish: { channel: "public:x", data: 1 } })).error === undefined) accepted++;
      }
      client.socket.terminate();
      await client.socket.closed;
      await ticks(20);
    }
    assert.equal(accepted, 5);
  });
});
