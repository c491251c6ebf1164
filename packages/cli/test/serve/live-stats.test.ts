// What `tungstate serve` offers its web page besides rooms: live statistics, typing indicators,
// names of anonymous clients.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Centrifuge, type PublicationContext, type Subscription, type UnsubscribedContext } from "centrifuge";
import { WebSocket } from "ws";
import type { NodeStats } from "../../src/server/live-stats.ts";
import { Server } from "../support/program.ts";

let server: Server;
const clients: Centrifuge[] = [];
before(async () => (server = await Server.start()));
after(async () => {
  for (const each of clients) each.disconnect();
  await server[Symbol.asyncDispose]();
});

async function client(data: unknown = {}): Promise<Centrifuge> {
  const made = new Centrifuge(server.ws("/connection/websocket"), { websocket: WebSocket, data, timeout: 60_000 });
  clients.push(made);
  made.connect();
  await made.ready(60_000);
  return made;
}

async function subscribed(to: Centrifuge, channel: string): Promise<Subscription> {
  const subscription = to.newSubscription(channel);
  subscription.subscribe();
  await subscription.ready(60_000);
  return subscription;
}

/** Returns the next statistics accepted by `is`. */
function stats(subscription: Subscription, is: (stats: NodeStats) => boolean = () => true): Promise<NodeStats> {
  return new Promise((resolve) => {
    const scheduleCheck = ({ data }: PublicationContext): void => {
      if (!is(data as NodeStats)) return;
      subscription.off("publication", scheduleCheck);
      resolve(data as NodeStats);
    };
    subscription.on("publication", scheduleCheck);
  });
}

test("a subscriber receives statistics of the server, and earlier ones from history", async () => {
  const watcher = await client();
  const before = Date.now();
  const live = await subscribed(watcher, "live:server");
  const { node, at, uptime, cpu, loopDelay, queueBytes, memory, connections } = await stats(live);
  assert.equal(node.name, "tungstate");
  assert.notEqual(node.id, "");
  assert.ok(at >= before && at <= Date.now(), String(at));
  assert.ok(uptime >= 0 && cpu >= 0 && cpu < 64, `${uptime} ${cpu}`);
  assert.ok(loopDelay.mean >= 0 && loopDelay.p99 <= loopDelay.max, JSON.stringify(loopDelay));
  assert.ok(queueBytes >= 0 && memory > 10_000_000, `${queueBytes} ${memory}`);
  assert.equal(connections, 1);

  const other = await client();
  const talking = await subscribed(other, "public:talking");
  await stats(live, (each) => each.connections === 2);
  // 50 publications may be counted in one second or in several: add them up
  const counted = { received: 0, sent: 0 };
  let last = (await stats(live)).at;
  const all = stats(live, ({ at, received, sent }) => {
    counted.received += (received * (at - last)) / 1_000;
    counted.sent += (sent * (at - last)) / 1_000;
    last = at;
    return counted.received >= 45 && counted.sent >= 45;
  });
  for (let count = 0; count < 50; count++) await talking.publish(count);
  await all;
  assert.ok(counted.received < 100, JSON.stringify(counted));

  const { publications } = await live.history({ limit: 10 });
  assert.ok(publications.length >= 3, String(publications.length));
  watcher.disconnect();
  other.disconnect();
});

test("only the server publishes statistics, and their namespace has no other channel", async () => {
  const anonymousCredentials = await client();
  const live = await subscribed(anonymousCredentials, "live:server");
  await assert.rejects(live.publish({ cpu: 9 }), { code: 103 });
  await assert.rejects(live.presence(), { code: 103 });
  const other = anonymousCredentials.newSubscription("live:other");
  const refused = new Promise<UnsubscribedContext>((resolve) => other.once("unsubscribed", resolve));
  other.subscribe();
  assert.equal((await refused).code, 103);
  anonymousCredentials.disconnect();
});

test("the name of an anonymous client is sent with presence and publications; an invalid name is ignored", async () => {
  const ada = await client({ name: "Ada" });
  const lobby = await subscribed(ada, "public:names");
  for (const data of [{ name: "" }, { name: 1 }, { name: "x".repeat(201) }, [], "Ada", null]) {
    await subscribed(await client(data), "public:names");
  }
  const present = Object.values((await lobby.presence()).clients);
  assert.equal(present.length, 7);
  assert.deepEqual(
    present.map(({ connInfo }) => connInfo as unknown).filter((info) => info !== undefined),
    [{ name: "Ada" }],
  );
  const received = new Promise<PublicationContext>((resolve) => lobby.once("publication", resolve));
  await lobby.publish("hello");
  const { info } = await received;
  assert.deepEqual([info?.user, info?.connInfo], ["", { name: "Ada" }]);
});

test("typing indicators reach subscribers and are not stored", async () => {
  const [one, two] = [await client(), await client()];
  const typing = await subscribed(one, "typing:lobby");
  const received = new Promise<PublicationContext>((resolve) => typing.once("publication", resolve));
  await assert.rejects(two.publish("typing:lobby", {}), { code: 103 });
  await (await subscribed(two, "typing:lobby")).publish({});
  assert.deepEqual((await received).data, {});
  await assert.rejects(typing.history({ limit: 1 }), { code: 108 });
});
