// Which SDKs of the Centrifugo protocol work with the hub, and what unsupported ones are told, on
// every route.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Centrifuge } from "centrifuge";
import { Centrifuge as ProtobufCentrifuge } from "centrifuge/build/protobuf";
import { WebSocket as StandardWebSocket } from "tungstate/web";
import { WebSocket } from "ws";
import { Hub } from "../../src/hub/hub.ts";
import { NAMESPACES } from "../support/hubs.ts";
import { HUB_PATH, HUB_ROUTES, type HubRoute, type RoutedHub } from "../support/hub-routes.ts";
import { SdkBytes } from "../support/sdk-bytes.ts";
import { Events } from "../support/served-hub.ts";

const REASON = "inappropriate protocol: this server speaks JSON in text messages, not Protobuf";

async function withRoute(route: HubRoute, run: (routed: RoutedHub, hub: Hub) => Promise<void>): Promise<void> {
  const hub = new Hub({ namespaces: NAMESPACES, anonymous: true });
  await hub.start();
  const routed = await route.start(hub);
  try {
    await run(routed, hub);
  } finally {
    await hub.close();
    await routed.close();
  }
}

/** The request head of an SDK's library. */
const HEADS = {
  // the package websockets, which sends an empty list of subprotocols for centrifuge-python up to
  // 0.6
  python: [
    `GET ${HUB_PATH} HTTP/1.1`,
    "Host: localhost",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
    "Sec-WebSocket-Protocol: ",
    "User-Agent: Python/3.11 websockets/13.1",
  ],
  // gorilla/websocket, used by centrifuge-go for JSON
  go: [
    `GET ${HUB_PATH} HTTP/1.1`,
    "Host: localhost",
    "User-Agent: Go-http-client/1.1",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
    "Upgrade: websocket",
  ],
  // those of Starscream, OkHttp and dart:io do not differ in relevant fields
  protobuf: [
    `GET ${HUB_PATH} HTTP/1.1`,
    "Host: localhost",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Protocol: centrifuge-protobuf",
  ],
} as const;

/** {id: 1, connect: {}} in Protobuf, prefixed with its length. */
const PROTOBUF_CONNECT = Buffer.from([4, 0x08, 1, 0x22, 0]);

/** Classes for centrifuge-js. They trust the certificate of the routes. */
const WEBSOCKETS = {
  ws: class extends WebSocket {
    constructor(url: string, protocols?: string) {
      super(url, protocols, { rejectUnauthorized: false });
    }
  },
  "tungstate/web": class extends StandardWebSocket {
    constructor(url: string, protocols?: string) {
      super(url, protocols, {
        localAddress: "127.0.0.2",
        ...(url.startsWith("wss:") ? { tls: { rejectUnauthorized: false } } : {}),
      });
    }
  },
};

/** How SDKs encode commands, and how they react to a server's ping. */
const JSON_SDKS = {
  "centrifuge-python": {
    head: HEADS.python,
    write: (command: object) => JSON.stringify(command, undefined, 1).replaceAll("\n", ""),
  },
  "centrifuge-go": { head: HEADS.go, write: (command: object) => `${JSON.stringify(command)}\n` },
} as const;

for (const route of HUB_ROUTES) {
  describe(route.name, () => {
    for (const [name, websocket] of Object.entries(WEBSOCKETS))
      test(`centrifuge-js works with the WebSocket of ${name}`, () =>
        withRoute(route, async (routed, hub) => {
          const client = new Centrifuge(routed.url, { websocket });
          const subscription = client.newSubscription("public:x");
          const got = new Events<unknown>();
          subscription.on("publication", ({ data }) => got.push(data));
          subscription.subscribe();
          client.connect();
          await subscription.ready(10_000);
          await hub.publish("public:x", 1);
          await client.publish("public:x", 2);
          assert.deepEqual(await got.upTo(2), [1, 2]);
          client.disconnect();
        }));

    for (const [name, { head, write }] of Object.entries(JSON_SDKS)) {
      test(`${name} works, by the bytes that it sends`, () =>
        withRoute(route, async (routed) => {
          const sdk = new SdkBytes(await routed.open());
          assert.match(await sdk.handshake(head), /^HTTP\/1\.1 101 /);
          sdk.text(write({ id: 1, connect: {} }));
          sdk.text("{}"); // a pong
          sdk.text(write({ id: 2, subscribe: { channel: "public:x" } }));
          sdk.text(write({ id: 3, publish: { channel: "public:x", data: { n: 1 } } }));
          let text = "";
          while (!(text.includes('"id":3') && text.includes('"pub"'))) {
            const frame = await sdk.next();
            assert.equal(frame.kind, "text");
            text += frame.payload.toString();
          }
          for (const id of [1, 2, 3]) assert.ok(text.includes(`{"id":${id},"`) && !text.includes('"error"'), text);
          sdk.destroy();
        }));
    }

    for (const [name, head] of [
      ["subprotocol", HEADS.protobuf],
      ["binary messages only", HEADS.go],
    ] as const) {
      test(`a client that uses Protobuf (${name}) is notified by a push and by the close code`, () =>
        withRoute(route, async (routed) => {
          const sdk = new SdkBytes(await routed.open());
          const response = await sdk.handshake(head);
          assert.match(response, /^HTTP\/1\.1 101 /);
          // a client that offers one and gets none fails, and reconnects forever
          assert.equal(/sec-websocket-protocol: centrifuge-protobuf/i.test(response), name === "subprotocol");
          sdk.binary(PROTOBUF_CONNECT);
          sdk.binary(PROTOBUF_CONNECT);
          const push = await sdk.next();
          assert.equal(push.kind, "binary");
          assert.equal(push.payload.subarray(-REASON.length).toString(), REASON);
          const close = await sdk.next();
          assert.deepEqual(
            [close.kind, close.payload.readUInt16BE(0), close.payload.toString("utf8", 2)],
            ["close", 3506, REASON],
          );
          sdk.close(close.payload);
          sdk.destroy();
        }));
    }

    test("centrifuge-js with Protobuf stops permanently, with code and reason", () =>
      withRoute(route, async (routed, hub) => {
        let connections = 0;
        const client = new ProtobufCentrifuge(routed.url, {
          minReconnectDelay: 1,
          maxReconnectDelay: 1,
          websocket: class extends WebSocket {
            constructor(url: string, protocols?: string) {
              super(url, protocols, { rejectUnauthorized: false });
              connections++;
            }
          },
        });
        const ended = new Events<unknown>();
        client.on("disconnected", ({ code, reason }) => ended.push([code, reason]));
        client.connect();
        assert.deepEqual(await ended.upTo(1), [[3506, REASON]]);
        assert.deepEqual([client.state, connections], ["disconnected", 1]);
        assert.equal(hub.metrics.disconnects.get(3506), 1);
      }));
  });
}
