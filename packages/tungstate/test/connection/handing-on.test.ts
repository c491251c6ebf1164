import assert from "node:assert/strict";
import { test, describe } from "node:test";
import { type Message, PreparedMessage } from "@tungstate/protocol";
import type { WebSocketConnection } from "../../src/connection/types.ts";
import { take, withConnected } from "../support/connected.ts";
import { filled } from "../support/filled.ts";
import { kinds, memory } from "../support/pairs.ts";

async function received(from: WebSocketConnection, to: WebSocketConnection, data: Uint8Array): Promise<Message> {
  const next = to[Symbol.asyncIterator]().next();
  await from.send(data);
  const { value } = await next;
  return value as Message;
}

/** A part of a fragmented message, then nothing until signalled. */
function held(): { readonly parts: AsyncIterable<Uint8Array>; readonly goOn: (error?: Error) => void } {
  let goOn: (error?: Error) => void = () => undefined;
  const reported = new Promise<void>((resolve, reject) => {
    goOn = (error) => (error === undefined ? resolve() : reject(error));
  });
  const parts = async function* (): AsyncGenerator<Uint8Array> {
    yield filled(3, 0);
    await reported;
  };
  return { parts: parts(), goOn };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

for (const kind of kinds) {
  test(`over ${kind.name}: a message written to one connection and transferred to another reaches both unchanged`, async () => {
    await withConnected(kind, {}, async (slow) => {
      await withConnected(memory, {}, async (quick) => {
        const sizes = [300_000, 70_000, 100_000, 70_001];
        const sent = sizes.map(filled);
        const atSlow = turn()
          .then(turn)
          .then(turn)
          .then(() => take(slow.client, sent.length));
        const atQuick = take(quick.client, sent.length);
        for (const data of sent) {
          const message = await received(quick.client, quick.server, data);
          slow.server.write(message);
          quick.server.write(message, { transfer: true });
          await turn();
        }
        assert.deepEqual(await atQuick, sent);
        assert.deepEqual(await atSlow, sent);
      });
    });
  });
}

describe("a waiting message", () => {
  for (const size of [10, 100_000]) {
    for (const compression of [false, { asyncThreshold: 1024 }]) {
      test(`of ${size} bytes${compression === false ? "" : ", compressed"}: is sent although another connection received it with transfer`, async () => {
        await withConnected(memory, { client: { compression }, server: { compression } }, async (one) => {
          await withConnected(memory, {}, async (two) => {
            const data = filled(size, 5);
            const message = await received(two.client, two.server, data);
            const { parts, goOn } = held();
            const all = take(one.client, 2);
            const streamed = one.server.sendStream(parts);
            await turn();
            one.server.write(message);
            two.server.write(message, { transfer: true });
            await received(two.client, two.server, filled(size, 6));
            goOn();
            await streamed;
            assert.deepEqual(await all, [filled(3, 0), data]);
            assert.equal(one.server.state, "open");
          });
        });
      });
    }
  }

  test("is deflated asynchronously and sent although another connection received it with transfer", async () => {
    const compression = { asyncThreshold: 1024 };
    await withConnected(memory, { client: { compression }, server: { compression } }, async (one) => {
      await withConnected(memory, {}, async (two) => {
        // incompressible, so it is sent uncompressed
        const data = new Uint8Array(100_000).map(() => Math.random() * 256);
        const message = await received(two.client, two.server, data);
        const all = take(one.client, 1);
        one.server.write(message);
        two.server.write(message, { transfer: true });
        await received(two.client, two.server, filled(100_000, 6));
        assert.deepEqual(await all, [data]);
      });
    });
  });

  test("after a fragmented one whose source fails: the error is the source's", async () => {
    await withConnected(memory, {}, async ({ server }) => {
      const { parts, goOn } = held();
      const streamed = server.sendStream(parts);
      await turn();
      server.write("behind it");
      const flushed = assert.rejects(server.flush());
      goOn(new Error("the source"));
      await assert.rejects(streamed, /the source/);
      const { error } = await server.closed;
      assert.equal(error?.code, "HANDLER_FAILED");
      await flushed;
    });
  });

  test("is rejected immediately if it cannot be sent later", async () => {
    await withConnected(memory, {}, async ({ client, server }) => {
      const { parts, goOn } = held();
      const streamed = server.sendStream(parts);
      await turn();
      const deflated = new PreparedMessage(filled(3, 0), { compressed: true });
      assert.throws(() => server.write(deflated), { code: "INVALID_ARGUMENT" });
      server.write("next");
      goOn();
      await streamed;
      assert.deepEqual(await take(client, 2), [filled(3, 0), "next"]);
    });
  });
});

test("send resolves for a message that was written, even if the connection is terminated in the same tick", async () => {
  await withConnected(memory, { server: { writeBufferSize: 0 } }, async ({ server }) => {
    const { parts, goOn } = held();
    const streamed = server.sendStream(parts);
    await turn();
    const sent = server.send("behind it");
    goOn();
    await streamed;
    await server.flush();
    server.terminate();
    await sent;
  });
});

describe("drain", () => {
  test("is not emitted within a write", async () => {
    await withConnected(memory, {}, async ({ server }) => {
      const { parts, goOn } = held();
      const streamed = server.sendStream(parts);
      await turn();
      assert.equal(server.write("behind it"), false);
      let writing = false;
      const drained = new Promise<void>((resolve, reject) => {
        server.on("drain", () => (writing ? reject(new Error("inside of a write")) : resolve()));
      });
      goOn();
      await streamed;
      writing = true;
      // more than half of writeBufferSize, so it is written immediately
      server.write(filled(100_000, 1));
      writing = false;
      await drained;
    });
  });
});
