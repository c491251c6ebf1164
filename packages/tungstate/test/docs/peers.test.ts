import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";
import { WebSocketServer as WsServer } from "ws";
import { connect } from "../../src/client/connect.ts";
import { WebSocketServer } from "../../src/server/server.ts";

// Statements of docs/comparison.md about ws and tungstate, checked on both.

/** Adds a listener for messages to a connection. */
type Listen = (listener: (text: string) => void) => void;

interface Peer {
  readonly name: string;
  /** Accepts the upgrades of a server, with default options. */
  serve(server: Server, onConnection: (listen: Listen) => void): void;
  /** Returns the status for a page of another origin. */
  readonly statusForForeignPage: number;
  /** Returns what a listener receives that is added after the first message. */
  readonly heardLate: readonly string[];
}

const peers: readonly Peer[] = [
  {
    name: "tungstate",
    serve(server, onConnection) {
      new WebSocketServer().attach(server).on("connection", (connection) => {
        onConnection((listener) => connection.on("message", (message) => listener(message.text)));
      });
    },
    statusForForeignPage: 403,
    heardLate: ["first", "second"],
  },
  {
    name: "ws",
    serve(server, onConnection) {
      new WsServer({ server }).on("connection", (socket) => {
        onConnection((listener) => socket.on("message", (data: Buffer) => listener(data.toString())));
      });
    },
    statusForForeignPage: 101,
    heardLate: ["second"],
  },
];

for (const { name, serve, statusForForeignPage, heardLate } of peers) {
  describe(name, () => {
    const server = createServer();
    let port = 0;
    let listen: Listen | undefined;
    before(async () => {
      serve(server, (given) => (listen = given));
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      port = (server.address() as AddressInfo).port;
    });
    after(() => server.close());

    test(`answers a page of another origin with ${statusForForeignPage}`, async () => {
      const asked = request({
        host: "127.0.0.1",
        port,
        headers: {
          Connection: "Upgrade",
          Upgrade: "websocket",
          Origin: "https://other.example",
          "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
          "Sec-WebSocket-Version": "13",
        },
      }).end();
      const [response] = (await Promise.race([once(asked, "upgrade"), once(asked, "response")])) as [IncomingMessage];
      response.socket.destroy();
      assert.equal(response.statusCode, statusForForeignPage);
    });

    test(`delivers the ${heardLate.join(" and the ")} message to a listener added late`, async () => {
      const client = await connect(`ws://127.0.0.1:${port}/`);
      client.write("first");
      await client.ping(); // its pong proves that the server has the message
      const received: string[] = [];
      const second = new Promise<void>((resolve) => {
        listen?.((text) => {
          received.push(text);
          if (text === "second") resolve();
        });
      });
      client.write("second");
      await second;
      client.terminate();
      assert.deepEqual(received, heardLate);
    });
  });
}
