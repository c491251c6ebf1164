// What the comparison with Chromium does not cover: back pressure, large messages, and where
// Chromium differs from the standard.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { WebSocketError, WebSocketStream } from "../../src/web/index.ts";
import { serve } from "../support/server.ts";
import { until } from "../support/until.ts";

const MIB = 1024 * 1024;

/** Waits until a number above 0 has not grown for a while. */
async function untilStill(count: () => number): Promise<void> {
  let before = 0;
  let looks = 0;
  await until(() => {
    looks = count() > 0 && count() === before ? looks + 1 : 0;
    before = count();
    return looks === 100;
  }, "nothing moves any more");
}

describe("WebSocketStream: back pressure", () => {
  test("a server that sends to an unread stream has to wait", async (t) => {
    const served = await serve(t);
    let sent = 0;
    served.server.on("connection", (connection) => {
      void (async () => {
        for (; sent < 200; sent++) await connection.send(new Uint8Array(MIB));
        await connection.close();
      })();
    });
    const stream = new WebSocketStream(served.url, {}, { readAheadSize: 0, receiveQueueSize: MIB });
    const { readable } = await stream.opened;
    // what the systems of both ends and both queues hold is far below 200 MiB
    await untilStill(() => sent);
    assert.ok(sent < 100, `${sent} MiB were sent`);
    let read = 0;
    for await (const chunk of readable) read += (chunk as Uint8Array).length;
    assert.equal(read, 200 * MIB);
    assert.deepEqual(await stream.closed, { closeCode: 1000, reason: "" });
  });

  test("a writer waits for a server that does not read", async (t) => {
    const served = await serve(t, { readAheadSize: 0, receiveQueueSize: MIB });
    const stream = new WebSocketStream(served.url);
    const { writable } = await stream.opened;
    const writer = writable.getWriter();
    let written = 0;
    const writing = (async () => {
      for (; written < 200; written++) await writer.write(new Uint8Array(MIB));
      await writer.close();
    })();
    await untilStill(() => written);
    assert.ok(written < 100, `${written} MiB were written`);
    let received = 0;
    for await (const message of served.accepted[0]?.connection ?? []) received += message.size;
    await writing;
    assert.equal(received, 200 * MIB);
  });

  for (const [type, data] of [
    ["binary", new Uint8Array(70 * MIB).fill(7)],
    ["text", "é".repeat(35 * MIB)],
  ] as const) {
    test(`a ${type} message larger than maxWriteBufferSize is sent in parts`, async (t) => {
      const served = await serve(t, { maxMessageSize: 100 * MIB });
      const stream = new WebSocketStream(served.url, {}, { compression: false });
      const { writable } = await stream.opened;
      const written = writable.getWriter().write(data);
      await served.until(() => served.accepted.length === 1);
      for await (const message of served.accepted[0]?.connection ?? []) {
        assert.equal(message.type, type);
        assert.equal(message.size, 70 * MIB);
        break;
      }
      await written;
      stream.close();
      await stream.closed;
    });
  }
});

describe("WebSocketStream: the end", () => {
  test("without a closing handshake: both streams and closed reject with a WebSocketError", async (t) => {
    const served = await serve(t);
    const stream = new WebSocketStream(served.url);
    const { readable, writable } = await stream.opened;
    await served.until(() => served.accepted.length === 1);
    const connection = served.accepted[0]?.connection ?? assert.fail();
    await connection.send("last");
    await connection.flush();
    const reader = readable.getReader();
    assert.equal((await reader.read()).value, "last");
    const rest = reader.read();
    const writer = writable.getWriter();
    connection.terminate();
    const isUnclean = (error: unknown): boolean => {
      assert.ok(error instanceof WebSocketError);
      assert.equal(error.closeCode, 1006);
      assert.equal(error.name, "WebSocketError");
      return true;
    };
    await assert.rejects(stream.closed, isUnclean);
    await assert.rejects(rest, isUnclean);
    await assert.rejects(writer.closed, isUnclean);
    await assert.rejects(writer.write("late"), isUnclean);
  });

  test("opened and closed may be ignored when they reject", async () => {
    const stream = new WebSocketStream("ws://127.0.0.1:25/");
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    await assert.rejects(stream.opened, WebSocketError);
  });

  test("the reason of the signal rejects opened and closed", async (t) => {
    const served = await serve(t);
    const controller = new AbortController();
    const stream = new WebSocketStream(served.url, { signal: controller.signal });
    const reason = new RangeError("a reason");
    controller.abort(reason);
    await assert.rejects(stream.opened, (error) => error === reason);
    await assert.rejects(stream.closed, (error) => error === reason);
  });

  test("a closeCode outside 0 to 65535 is a TypeError", () => {
    for (const closeCode of [-1, 65_536, NaN, Infinity]) {
      assert.throws(() => new WebSocketError("", { closeCode }), TypeError);
    }
  });

  test("opened and closed of another object reject with a TypeError", async () => {
    for (const name of ["opened", "closed"] as const) {
      const get = Object.getOwnPropertyDescriptor(WebSocketStream.prototype, name)?.get ?? assert.fail();
      await assert.rejects(Reflect.apply(get, {}, []) as Promise<unknown>, TypeError);
    }
  });
});
