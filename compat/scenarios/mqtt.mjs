// MQTT.js over ws, and Aedes behind createWebSocketStream.
import assert from "node:assert/strict";
import { Aedes } from "aedes";
import mqtt from "mqtt";
import { createWebSocketStream, WebSocketServer } from "ws";
import { next, scenario } from "./scenario.mjs";

await scenario(["mqtt"], async ({ check, after }) => {
  const broker = await Aedes.createBroker();
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1", handleProtocols: (offered) => [...offered][0] });
  server.on("connection", (socket, request) => broker.handle(createWebSocketStream(socket), request));
  await next(server, "listening");
  after(() => new Promise((resolve) => broker.close(() => server.close(resolve))));
  const url = `ws://127.0.0.1:${server.address().port}`;

  const subscriber = await mqtt.connectAsync(url);
  const publisher = await mqtt.connectAsync(url);
  after(() => Promise.all([subscriber.endAsync(), publisher.endAsync()]));

  const received = (count) =>
    new Promise((resolve) => {
      const messages = [];
      subscriber.on("message", function collect(topic, payload) {
        messages.push([topic, payload]);
        if (messages.length < count) return;
        subscriber.off("message", collect);
        resolve(messages);
      });
    });

  await check("the subprotocol is mqtt", () => assert.equal([...server.clients][0].protocol, "mqtt"));
  for (const qos of [0, 1, 2]) {
    await check(`publish with QoS ${qos}`, async () => {
      await subscriber.subscribeAsync(`topic/${qos}`, { qos });
      const messages = received(1);
      await publisher.publishAsync(`topic/${qos}`, "payload", { qos });
      const [[topic, payload]] = await messages;
      assert.deepEqual([topic, payload.toString()], [`topic/${qos}`, "payload"]);
    });
  }
  await check("1 MiB of payload", async () => {
    const messages = received(1);
    const data = Buffer.alloc(1024 * 1024, 5);
    await publisher.publishAsync("topic/1", data, { qos: 1 });
    const [[, payload]] = await messages;
    assert.ok(payload.equals(data));
  });
  await check("500 messages keep their order", async () => {
    const messages = received(500);
    for (let at = 0; at < 500; at++) publisher.publish("topic/0", String(at));
    const got = (await messages).map(([, payload]) => Number(payload.toString()));
    assert.deepEqual(
      got,
      Array.from({ length: 500 }, (_, at) => at),
    );
  });
  await check("a retained message", async () => {
    await publisher.publishAsync("kept", "value", { retain: true, qos: 1 });
    const messages = received(1);
    await subscriber.subscribeAsync("kept");
    const [[topic, payload]] = await messages;
    assert.deepEqual([topic, payload.toString()], ["kept", "value"]);
  });
  await check("a lost connection is opened again", async () => {
    const lost = next(subscriber, "close");
    const back = next(subscriber, "connect");
    subscriber.options.reconnectPeriod = 1;
    for (const socket of server.clients) socket.terminate();
    await lost;
    await back;
  });
});
