import assert from "node:assert/strict";
import { test } from "node:test";
import * as tungstate from "../src/index.ts";
import { concat } from "./support/bytes.ts";

test("two ends communicate with the package's exports only", () => {
  const {
    CLOSE_CODE,
    DEFAULT_LIMITS,
    isSendableCloseCode,
    MaskingKeys,
    PreparedMessage,
    Protocol,
    ProtocolConfig,
    Runtime,
  } = tungstate;
  const options = {
    ...DEFAULT_LIMITS,
    acceptUnmaskedFrames: false,
    compression: false,
    heartbeat: undefined,
    closeTimeout: 1000,
  };
  const events: string[] = [];
  const sink = (name: string): tungstate.ProtocolSink => ({
    onMessage: (message) => events.push(`${name}: ${message.text}`),
    onPing: () => events.push(`${name}: ping`),
    onPong: () => events.push(`${name}: pong`),
  });
  const runtime = new Runtime();
  const keys = new MaskingKeys((target) => target.fill(9));
  const client = new Protocol(new ProtocolConfig(runtime, { ...options, role: "client", keys }), sink("client"));
  const server = new Protocol(
    new ProtocolConfig(runtime, { ...options, role: "server", keys: undefined }),
    sink("server"),
  );
  const move = (from: tungstate.Protocol, to: tungstate.Protocol): void => {
    from.flushControlFrames();
    const taken = from.output.take();
    to.receive(Array.isArray(taken.pieces) ? concat(...taken.pieces) : taken.pieces, 0);
    from.output.release(taken);
  };
  client.send("hello");
  client.ping();
  move(client, server);
  server.send(new PreparedMessage("you too"));
  move(server, client);
  assert.ok(isSendableCloseCode(CLOSE_CODE.GOING_AWAY));
  server.close(CLOSE_CODE.GOING_AWAY, "later", 0);
  move(server, client);
  move(client, server);
  assert.deepEqual(events, ["server: hello", "server: ping", "client: pong", "client: you too"]);
  assert.equal(client.closing.reason, "later");
  assert.equal(server.closing.clean, true);
  assert.throws(() => server.send("more"), tungstate.WebSocketError);
});
