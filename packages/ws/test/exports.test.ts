// The shape of the package: exports, statics and constants.
import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { Writable } from "node:stream";
import { load, onEach, test } from "./support/implementations.ts";
import { pair } from "./support/pairs.ts";

const MEMBERS = [
  "createWebSocketStream",
  "extension",
  "PerMessageDeflate",
  "Receiver",
  "Sender",
  "Server",
  "subprotocol",
  "WebSocket",
  "WebSocketServer",
] as const;

onEach("exports", (ws, name) => {
  test("module.exports is the WebSocket class", () => {
    assert.equal(typeof ws, "function");
    assert.equal(ws.name, "WebSocket");
    assert.equal(ws.WebSocket, ws);
  });

  test("the other exports are enumerable own properties of the class", () => {
    const own = Object.keys(ws);
    for (const member of MEMBERS) assert.ok(own.includes(member), member);
  });

  test("module.exports has no __esModule and no default", () => {
    assert.equal("__esModule" in ws, false);
    assert.equal("default" in ws, false);
  });

  test("own enumerable properties are the exports and the states", () => {
    const states = ["CLOSED", "CLOSING", "CONNECTING", "OPEN"];
    assert.deepEqual(Object.keys(ws).toSorted(), [...states, ...MEMBERS].toSorted());
  });

  test("Server is an alias of WebSocketServer", () => {
    assert.equal(ws.Server, ws.WebSocketServer);
    assert.equal(ws.WebSocketServer.name, "WebSocketServer");
  });

  test("import has the same objects as require", async () => {
    const imported = (await import(name)) as Record<string, unknown>;
    assert.equal(imported["default"], ws);
    const named = MEMBERS.filter((member) => member !== "Server");
    for (const member of named) assert.equal(imported[member], ws[member], member);
    assert.deepEqual(Object.keys(imported).toSorted(), ["default", ...named].toSorted());
  });

  test("WebSocket and WebSocketServer are event emitters", () => {
    assert.ok(ws.prototype instanceof EventEmitter);
    assert.ok(ws.WebSocketServer.prototype instanceof EventEmitter);
  });

  test("Receiver is a writable stream", () => {
    assert.ok(new ws.Receiver() instanceof Writable);
  });

  for (const [state, value] of Object.entries({ CONNECTING: 0, OPEN: 1, CLOSING: 2, CLOSED: 3 })) {
    test(`${state} is ${value} on the class and on its prototype, enumerable and read-only`, () => {
      for (const owner of [ws, ws.prototype]) {
        assert.deepEqual(Object.getOwnPropertyDescriptor(owner, state), {
          value,
          enumerable: true,
          configurable: false,
          writable: false,
        });
      }
    });
  }

  for (const property of [
    "binaryType",
    "bufferedAmount",
    "extensions",
    "isPaused",
    "onclose",
    "onerror",
    "onmessage",
    "onopen",
    "protocol",
    "readyState",
    "url",
  ]) {
    test(`${property} is an enumerable accessor of the prototype`, () => {
      const descriptor = Object.getOwnPropertyDescriptor(ws.prototype, property);
      assert.equal(descriptor?.enumerable, true);
      assert.equal(typeof descriptor?.get, "function");
    });
  }

  for (const property of ["bufferedAmount", "extensions", "isPaused", "protocol", "readyState", "url"]) {
    test(`${property} has no setter`, () => {
      assert.equal(Object.getOwnPropertyDescriptor(ws.prototype, property)?.set, undefined);
    });
  }

  for (const method of [
    "addEventListener",
    "close",
    "pause",
    "ping",
    "pong",
    "removeEventListener",
    "resume",
    "send",
  ]) {
    test(`${method} is a method of the prototype`, () => {
      assert.equal(typeof Reflect.get(ws.prototype, method), "function");
    });
  }

  test("the prototypes have the methods that subclasses override", () => {
    for (const method of ["setSocket", "emitClose", "terminate"]) {
      assert.equal(typeof Reflect.get(ws.prototype, method), "function", method);
    }
    for (const method of ["address", "close", "completeUpgrade", "handleUpgrade", "shouldHandle"]) {
      assert.equal(typeof Reflect.get(ws.WebSocketServer.prototype, method), "function", method);
    }
  });

  test("instances are named WebSocket and WebSocketServer", async (t) => {
    const { client, peer, server } = await pair(t, ws);
    assert.equal(client.constructor.name, "WebSocket");
    assert.equal(peer.constructor.name, "WebSocket");
    assert.equal(server.constructor.name, "WebSocketServer");
  });

  test("client and server sockets are instances of WebSocket and have their own state constants", async (t) => {
    const { client, peer } = await pair(t, ws);
    for (const socket of [client, peer]) {
      assert.ok(socket instanceof ws.WebSocket);
      assert.deepEqual([socket.CONNECTING, socket.OPEN, socket.CLOSING, socket.CLOSED], [0, 1, 2, 3]);
    }
  });

  test("PerMessageDeflate has the name of the extension", () => {
    assert.equal(ws.PerMessageDeflate.extensionName, "permessage-deflate");
  });
});

test("the implementations are different ones", () => {
  assert.notEqual(load("ws"), load("@tungstate/ws"));
});

test("the reference is ws 8.23", async () => {
  const manifest = (await import("ws/package.json", { with: { type: "json" } })) as { default: { version: string } };
  assert.match(manifest.default.version, /^8\.23\./);
});
