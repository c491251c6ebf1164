import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";
import { accept } from "../../src/server/accept.ts";
import { memoryPipe } from "../../src/testing/memory-pipe.ts";
import { VirtualClock } from "../../src/testing/virtual-clock.ts";
import type { ConnectionOptions } from "../../src/connection/options.ts";
import type { CloseInfo, WebSocketConnection } from "../../src/connection/types.ts";
import { take } from "../support/connected.ts";
import { frame, Raw, upgradeRequest } from "../support/raw.ts";
import { turns } from "../support/server.ts";

interface Slow {
  readonly clock: VirtualClock;
  readonly raw: Raw;
  readonly connection: WebSocketConnection;
  send(bytes: Uint8Array): Promise<void>;
  info(): CloseInfo | undefined;
}

/** A server's connection that requires 100 bytes in 1,000 ms. */
async function slow(t: TestContext, options: ConnectionOptions = {}): Promise<Slow> {
  const clock = new VirtualClock();
  const [near, far] = memoryPipe();
  const raw = new Raw(near).send(upgradeRequest());
  const connection = await accept(far, {
    clock,
    heartbeat: false,
    minDataRate: { bytes: 100, interval: 1000 },
    ...options,
  });
  let info: CloseInfo | undefined;
  void connection.closed.then((end) => (info = end));
  t.after(async () => {
    connection.terminate();
    near.destroy();
    await connection.closed;
  });
  await turns(2);
  return {
    clock,
    raw,
    connection,
    async send(bytes) {
      raw.send(bytes);
      await turns(3);
    },
    info: () => info,
  };
}

const BEGIN = frame(2, Buffer.alloc(1), { fin: false });

async function reported(raw: Raw): Promise<number | undefined> {
  return (await raw.frames()).at(-1)?.payload.readUInt16BE(0);
}

describe("minDataRate", () => {
  for (const [bytes, goesOn] of [
    [99, false],
    [100, true],
    [101, true],
  ] as const) {
    test(`${bytes} of 100 bytes are ${goesOn ? "enough" : "too few"}`, async (t) => {
      const { clock, raw, send, connection } = await slow(t);
      await send(BEGIN);
      await clock.advance(500);
      const part = frame(0, Buffer.alloc(bytes - 6), { fin: false }); // and its header
      assert.equal(part.length, bytes);
      await send(part);
      await clock.advance(600);
      assert.equal(connection.state, goesOn ? "open" : "closing");
      if (!goesOn) assert.equal(await reported(raw), 1013);
    });
  }

  test("is named in the error", async (t) => {
    const { clock, raw, send, connection, info } = await slow(t);
    const errors: string[] = [];
    connection.on("error", (error) => errors.push(`${error.code} ${error.fault}`));
    await send(BEGIN);
    await clock.advance(1050);
    assert.deepEqual(errors, ["MESSAGE_TOO_SLOW peer"]);
    raw.stream.end();
    await turns(5);
    assert.equal(info()?.error?.code, "MESSAGE_TOO_SLOW");
  });

  test("counts a frame of which only the header has arrived as a message in progress", async (t) => {
    const { clock, send, connection } = await slow(t);
    await send(frame(2, Buffer.alloc(50)).subarray(0, 6));
    await clock.advance(1050);
    assert.equal(connection.state, "closing");
  });

  test("applies as long as a message lasts, however long", async (t) => {
    const { clock, send, connection } = await slow(t);
    await send(BEGIN);
    for (let second = 0; second < 20; second++) {
      await send(frame(0, Buffer.alloc(150), { fin: false }));
      await clock.advance(1000);
    }
    assert.equal(connection.state, "open");
    await send(frame(0, "end"));
    assert.equal((await take(connection, 1))[0]?.length, 1 + 20 * 150 + 3);
    assert.equal(clock.pending, 1); // the due check
    await clock.advance(1050);
    assert.equal(clock.pending, 0);
  });

  test("does not count a few pings between fragments as progress", async (t) => {
    const { clock, send, connection } = await slow(t);
    await send(BEGIN);
    for (let number = 0; number < 5; number++) {
      await clock.advance(200);
      await send(frame(9));
    }
    await clock.advance(50);
    assert.equal(connection.state, "closing");
  });

  test("gives each message its own time, also after small ones", async (t) => {
    const { clock, send, connection } = await slow(t);
    connection.on("message", () => undefined);
    await send(BEGIN);
    await clock.advance(10);
    await send(frame(0, "x"));
    await clock.advance(970);
    await send(BEGIN);
    await clock.advance(100); // the check of the first one
    assert.equal(connection.state, "open");
    await clock.advance(1000);
    assert.equal(connection.state, "closing");
  });

  test("does not apply without a message in progress", async (t) => {
    const { clock, send, connection } = await slow(t);
    await send(frame(1, "whole"));
    assert.equal(clock.pending, 0);
    await clock.advance(100_000);
    assert.equal(connection.state, "open");
  });

  test("does not count time in which reading is paused", async (t) => {
    const { clock, send, connection } = await slow(t, { receiveQueueSize: 100, readAheadSize: 0 });
    await send(Buffer.concat([frame(2, Buffer.alloc(200)), BEGIN]));
    await clock.advance(5000);
    assert.equal(connection.state, "open");
    await take(connection, 1); // now it is read again, and its time restarts
    await clock.advance(900);
    assert.equal(connection.state, "open");
    await clock.advance(300);
    assert.equal(connection.state, "closing");
  });

  test("is disabled by false", async (t) => {
    const { clock, send, connection } = await slow(t, { minDataRate: false });
    await send(BEGIN);
    await clock.advance(10_000_000);
    assert.equal(connection.state, "open");
    assert.equal(clock.pending, 0);
  });

  test("has defaults for each field", async (t) => {
    const { clock, send, connection } = await slow(t, { minDataRate: {} });
    await send(BEGIN);
    await clock.advance(59_900);
    assert.equal(connection.state, "open");
    await clock.advance(200);
    assert.equal(connection.state, "closing");
  });

  test("rejects invalid values", async () => {
    for (const wrong of [true, 5, null, { bytes: 0 }, { interval: 0 }, { bytes: "1" }]) {
      const [, far] = memoryPipe();
      await assert.rejects(accept(far, { minDataRate: wrong as false }), {
        code: "INVALID_ARGUMENT",
        message: /minDataRate/,
      });
    }
  });
});
