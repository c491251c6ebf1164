import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { describe, test, type TestContext } from "node:test";
import { createServer as createTlsServer } from "node:tls";
import { onAbort } from "../../src/schedule/abort-signal.ts";
import { client } from "../../src/client/client.ts";
import { clientTls, connect } from "../../src/client/connect.ts";
import { dial } from "../../src/dial/dial.ts";
import { reconnecting } from "../../src/reconnecting/reconnecting.ts";
import { accept } from "../../src/server/accept.ts";
import { memoryPipe } from "../../src/testing/memory-pipe.ts";
import { secure } from "../../src/tls/secure.ts";
import type { WebSocketConnection } from "../../src/connection/types.ts";
import { selfSigned } from "../support/pairs.ts";
import { serve, turns } from "../support/server.ts";

const MANY = 30; // Node.js warns above 10 listeners

/** Returns the warnings of the process while `work` runs. */
async function warningsOf(work: () => Promise<void>): Promise<string[]> {
  const warnings: string[] = [];
  const listener = (warning: Error): void => void warnings.push(String(warning));
  process.on("warning", listener);
  try {
    await work();
    await turns(2); // a warning is emitted in the next tick
  } finally {
    process.off("warning", listener);
  }
  return warnings;
}

const listeners = (signal: AbortSignal): number => getEventListeners(signal, "abort").length;

/** An operation with a signal that is open or in progress. */
interface Held {
  /** Ends it without the signal. */
  end(): unknown;
  /** Settles when it has ended. */
  readonly ended: Promise<unknown>;
}

interface Route {
  readonly name: string;
  begin(t: TestContext): Promise<(signal: AbortSignal) => Held | Promise<Held>>;
}

const held = (connection: Pick<WebSocketConnection, "closed" | "terminate">): Held => ({
  end: () => connection.terminate(),
  ended: connection.closed,
});

/** An operation on a stream whose other end sends nothing. */
const underWay =
  (operation: (stream: Duplex, signal: AbortSignal) => Promise<unknown>): Route["begin"] =>
  async (t) =>
  (signal) => {
    const [near, far] = memoryPipe();
    t.after(() => far.destroy());
    far.on("error", () => undefined).resume();
    return { end: () => near.destroy(), ended: operation(near, signal).catch(() => undefined) };
  };

const listening = async (t: TestContext, server: Server): Promise<number> => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
};

const routes: readonly Route[] = [
  {
    name: "open connections of connect",
    begin: async (t) => {
      const { url } = await serve(t);
      return async (signal) => held(await connect(url, { proxy: false, signal }));
    },
  },
  {
    name: "open connections of client",
    begin: async () => async (signal) => {
      const [near, far] = memoryPipe();
      const [connection] = await Promise.all([client("ws://localhost/", near, { signal }), accept(far)]);
      return held(connection);
    },
  },
  {
    name: "open connections of clientTls",
    begin: async (t) => {
      const { key, cert } = selfSigned();
      const port = await listening(
        t,
        createTlsServer({ key, cert }, (socket) => void accept(socket)),
      );
      return async (signal) => {
        const { stream } = await dial({ host: "127.0.0.1", port }, { proxy: false });
        return held(await clientTls(`wss://localhost:${port}/`, stream, { tls: { ca: cert }, signal }));
      };
    },
  },
  {
    name: "reconnecting connections",
    begin: async (t) => {
      const { url } = await serve(t);
      return async (signal) => {
        const connection = reconnecting(url, { proxy: false, signal });
        await connection.ready();
        return held(connection);
      };
    },
  },
  {
    name: "handshakes of client",
    begin: underWay((stream, signal) => client("ws://localhost/", stream, { signal })),
  },
  { name: "handshakes of accept", begin: underWay((stream, signal) => accept(stream, { signal })) },
  {
    name: "TLS handshakes of secure",
    begin: underWay((stream, signal) => secure(stream, { host: "localhost", signal })),
  },
  {
    name: "dials through a proxy that does not answer",
    begin: async (t) => {
      const sockets: Socket[] = [];
      let arrived = (): void => undefined;
      const port = await listening(
        t,
        createServer((socket) => {
          sockets.push(socket.on("error", () => undefined).resume());
          arrived();
        }),
      );
      return async (signal) => {
        const asked = new Promise<void>((resolve) => (arrived = resolve));
        const dialing = dial({ host: "a.example", port: 1 }, { proxy: `http://127.0.0.1:${port}`, signal });
        await asked;
        return { end: () => sockets.pop()?.destroy(), ended: dialing.catch(() => undefined) };
      };
    },
  },
];

async function holdMany(start: (signal: AbortSignal) => Held | Promise<Held>, signal: AbortSignal): Promise<Held[]> {
  const all: Held[] = [];
  while (all.length < MANY) all.push(await start(signal));
  return all;
}

for (const { name, begin } of routes) {
  describe(`one signal for ${MANY} ${name}`, () => {
    test("has one listener, prints no warning, and keeps nothing when they have ended", async (t) => {
      const start = await begin(t);
      const { signal } = new AbortController();
      const warnings = await warningsOf(async () => {
        const all = await holdMany(start, signal);
        assert.equal(listeners(signal), 1);
        for (const one of all) one.end();
        await Promise.all(all.map((one) => one.ended));
        await turns(1);
      });
      assert.deepEqual(warnings, []);
      assert.equal(listeners(signal), 0);
    });

    test("ends all of them", async (t) => {
      const start = await begin(t);
      const abort = new AbortController();
      const all = await holdMany(start, abort.signal);
      abort.abort();
      await Promise.all(all.map((one) => one.ended));
      assert.equal(listeners(abort.signal), 0);
    });
  });
}

describe("onAbort", () => {
  test("calls all callbacks once, in order, also after one that throws, and not removed ones", async () => {
    const called: string[] = [];
    const abort = new AbortController();
    const { signal } = abort;
    const twice = (): void => void called.push("twice");
    const failing = (): never => {
      throw new Error("of a callback");
    };
    onAbort(signal, twice);
    const forget = onAbort(signal, twice);
    onAbort(signal, failing);
    const forgetLast = onAbort(signal, () => void called.push("last"));
    onAbort(signal, () => {
      called.push("forgets the next");
      forgetNext();
    });
    const forgetNext = onAbort(signal, () => void called.push("next"));
    forget();
    forget();
    forgetLast();
    const warnings = await warningsOf(async () => abort.abort());
    assert.deepEqual(called, ["twice", "forgets the next"]);
    assert.deepEqual(warnings, ["Error: of a callback"]);
  });

  test("without a signal, and with an aborted one, calls nothing", () => {
    const never = (): void => assert.fail("called");
    onAbort(undefined, never)();
    onAbort(AbortSignal.abort(), never)();
  });
});
