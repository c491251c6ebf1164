// Tungstate 0.1: one API call for 250,000 channels blocked the event loop for seconds; JSON was
// parsed before its depth was checked.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createHttpApi } from "@tungstate/hub";
import { sized } from "./support/cost.ts";
import { HubClient, serveHub } from "./support/hub.ts";

const KEY = "a key of sixteen characters, or more";
const OPEN = { subscribe: "anyone", publish: "anyone" } as const;

describe("hub: API calls over many items", () => {
  test("a broadcast to very many channels does not block the event loop", async (t) => {
    const { hub } = await serveHub(t, { namespaces: { "": OPEN } });
    const api = createHttpApi(hub, { keys: [KEY] });
    const count = sized(50_000, 250_000);
    const channels = Array.from({ length: count }, (_, index) => `c${index}`);
    let ticks = 0;
    let isDone = false;
    const tick = (): void => {
      ticks++;
      if (!isDone) setImmediate(tick);
    };
    setImmediate(tick);
    const { status, body } = await api("broadcast", JSON.stringify({ channels, data: 1 }), { "x-api-key": KEY });
    isDone = true;
    assert.equal(status, 200);
    assert.equal((JSON.parse(body) as { result: { responses: unknown[] } }).result.responses.length, count);
    assert.ok(ticks > count / 5_000, `${ticks} ticks`);
  });

  test("JSON that nests too deeply is rejected before it is parsed", async (t) => {
    const { hub, port } = await serveHub(t, { namespaces: { "": OPEN } });
    const api = createHttpApi(hub, { keys: [KEY] });
    const { status, body } = await api("publish", "[".repeat(4_000_000), { "x-api-key": KEY });
    assert.equal(status, 400);
    assert.match(body, /nested deeper/);
    const client = await HubClient.connect(t, port);
    client.socket.write("[".repeat(65_000));
    const { code, reason } = await client.socket.closed;
    assert.equal(code, 3501);
    assert.match(reason, /nested deeper/);
  });
});
