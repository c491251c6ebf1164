import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { connect, type ConnectOptions } from "../../src/client/connect.ts";
import { ConnectError } from "../../src/errors.ts";
import { VirtualClock } from "../../src/testing/virtual-clock.ts";
import { listen, silentPeer, silentPort } from "../dial/support/peers.ts";

/** Resolves with the error of `connect` when its timeout expires as soon as `reached` resolves. */
async function timedOut(url: string, options: ConnectOptions, reached: Promise<unknown>): Promise<ConnectError> {
  const clock = new VirtualClock();
  const failing = connect(url, { ...options, clock, timeout: 5_000 }).then(
    () => assert.fail("connected"),
    (error: unknown) => error,
  );
  await reached;
  await clock.advance(5_000);
  const error = await failing;
  assert.ok(error instanceof ConnectError, String(error));
  assert.equal(error.code, "TIMEOUT");
  assert.match(error.message, /timeout is 5000 ms/);
  return error;
}

describe("the timeout for all steps names the current step", () => {
  test("resolve", async () => {
    let asked = (): void => undefined;
    const reached = new Promise<void>((resolve) => (asked = resolve));
    const error = await timedOut("ws://never.example", { lookup: () => asked() }, reached);
    assert.deepEqual([error.step, error.tried.host], ["resolve", "never.example"]);
  });

  test("connect", async (t) => {
    const port = await silentPort(t);
    let asked = (): void => undefined;
    const reached = new Promise<void>((resolve) => (asked = resolve));
    const lookup: ConnectOptions["lookup"] = (_name, _options, answer) => {
      answer(null, [{ address: "127.0.0.1", family: 4 }]);
      setImmediate(asked);
    };
    const error = await timedOut(`ws://silent.example:${port}`, { lookup }, reached);
    assert.deepEqual([error.step, error.tried.remotePort], ["connect", port]);
  });

  test("proxy, of both kinds", async (t) => {
    for (const scheme of ["http", "socks5h"]) {
      const { peer, spokenTo } = await silentPeer(t);
      const proxy = `${scheme}://127.0.0.1:${peer.port}`;
      const error = await timedOut("ws://a.example", { proxy }, spokenTo);
      assert.deepEqual([error.step, error.tried.proxy, error.tried.host], ["proxy", proxy, "a.example"]);
      await peer.idle();
    }
  });

  test("proxy, during TLS with the proxy", async (t) => {
    const { peer, spokenTo } = await silentPeer(t);
    const error = await timedOut("ws://a.example", { proxy: `https://127.0.0.1:${peer.port}` }, spokenTo);
    assert.equal(error.step, "proxy");
    await peer.idle();
  });

  test("tls", async (t) => {
    const { peer, spokenTo } = await silentPeer(t);
    const error = await timedOut(`wss://127.0.0.1:${peer.port}`, {}, spokenTo);
    assert.deepEqual([error.step, error.tried.remotePort], ["tls", peer.port]);
    assert.notEqual(error.tried.localAddress, undefined);
    await peer.idle();
  });

  test("handshake", async (t) => {
    const { peer, spokenTo } = await silentPeer(t);
    const error = await timedOut(`ws://127.0.0.1:${peer.port}`, {}, spokenTo);
    assert.deepEqual([error.step, error.tried.remotePort], ["handshake", peer.port]);
    await peer.idle();
  });
});

test("a failed handshake names what was tried", async (t) => {
  const closing = await listen(t, (socket) => socket.once("data", () => socket.end()));
  const quiet = await listen(t);
  const failure = async (url: string, options: ConnectOptions): Promise<ConnectError> => {
    const error = await connect(url, options).catch((caught: unknown) => caught);
    assert.ok(error instanceof ConnectError, String(error));
    return error;
  };
  const closed = await failure(`ws://127.0.0.1:${closing.port}`, { localAddress: "127.0.0.2" });
  assert.equal(closed.code, "HANDSHAKE_CLOSED");
  assert.match(closed.message, new RegExp(`to 127\\.0\\.0\\.1:${closing.port} from 127\\.0\\.0\\.2 on \\w+$`));
  const slow = await failure(`ws://127.0.0.1:${quiet.port}`, { handshakeTimeout: 20 });
  assert.equal(slow.code, "HANDSHAKE_TIMEOUT");
  assert.match(slow.message, /20 ms, to 127\.0\.0\.1:/);
});
