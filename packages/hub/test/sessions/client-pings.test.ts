// Pings between the hub and the npm package centrifuge on a virtual clock.
import assert from "node:assert/strict";
import { test } from "node:test";
import { WebSocket } from "ws";
import { NAMESPACES } from "../support/hubs.ts";
import { Events, ServedHub } from "../support/served-hub.ts";
import { settle, VirtualClock } from "../support/virtual-clock.ts";

test("pings keep idle clients connected, and detect dead servers", (t) => {
  const clock = new VirtualClock();
  t.mock.timers.enable({ apis: ["setTimeout"] }); // of the client and of the connections
  return ServedHub.run(
    { namespaces: NAMESPACES, anonymous: true, clock, ping: { interval: 1000, timeout: 900 } },
    async (served) => {
      const pongs = new Events<unknown>();
      const websocket = class extends WebSocket {
        override send(data: string): void {
          super.send(data);
          if (data === "{}") pongs.push(data);
        }
      };
      const client = served.client({ maxServerPingDelay: 1500, websocket });
      client.connect();
      await client.ready();
      const changes = new Events<unknown>();
      client.on("connecting", ({ code }) => changes.push(code));
      for (let seconds = 1; seconds <= 5; seconds++) {
        await clock.advance(1000);
        await pongs.upTo(seconds);
        await settle(); // the hub reads it
        t.mock.timers.tick(1000);
      }
      assert.deepEqual(changes.all, []);
      assert.equal(served.hub.metrics.sessions, 1);
      t.mock.timers.tick(1499);
      assert.deepEqual(changes.all, []);
      t.mock.timers.tick(1);
      assert.deepEqual(changes.all, [2], "no ping");
    },
  );
});
