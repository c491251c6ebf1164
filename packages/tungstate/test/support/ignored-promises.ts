import { client } from "../../src/client/client.ts";
import { reconnecting } from "../../src/reconnecting/reconnecting.ts";
import { accept } from "../../src/server/accept.ts";
import { memoryPipe } from "../../src/testing/memory-pipe.ts";
import type { WebSocketConnection } from "../../src/connection/types.ts";
import { WebSocketServer } from "../../src/server/server.ts";
import { type Cleanup, routesOfAllVersions as routes } from "./routes.ts";
import { turns } from "./server.ts";

// A program for tests: makes every call whose promise a caller may ignore, on connections in every
// state and on every route, and ignores the promises. An unhandled rejection ends it. It prints a
// line for each completed route.

/** Calls with valid arguments whose promises are ignored. */
function callAll(connection: WebSocketConnection): void {
  void connection.send("x");
  void connection.send(new Uint8Array(1_000_000));
  void connection.flush();
  void connection.ping();
  void connection.sendStream(["a", "b"], "text");
  void connection.sendStream(failing());
  const { readable, writable } = connection.split();
  const writer = writable.getWriter();
  void writer.write("x");
  void writer.write(5 as never);
  void writer.close();
  void writer.abort();
  void readable.pipeTo(new WritableStream({ write: () => Promise.reject(new Error("in a sink")) }));
  const other = connection.split();
  const reader = other.readable.getReader();
  void reader.read();
  void reader.cancel();
  reader.releaseLock();
  void other.readable.cancel();
  void other.writable.abort();
  void connection.close(4000, "later");
  void connection.close();
  void connection.closed;
  void connection[Symbol.asyncDispose]();
}

async function* failing(): AsyncGenerator<string> {
  yield "part";
  throw new Error("in a source");
}

/** Calls with invalid arguments. */
const WRONG: readonly ((connection: WebSocketConnection) => unknown)[] = [
  (connection) => connection.close(1005),
  (connection) => connection.close(1011, "é".repeat(80)),
  (connection) => connection.close("1000" as never),
  (connection) => connection.close(1000, 5 as never),
  (connection) => connection.send(5 as never),
  (connection) => connection.send(undefined as never),
  (connection) => connection.ping("x".repeat(126)),
  (connection) => connection.ping({} as never),
  (connection) => connection.sendStream(5 as never),
  (connection) => connection.sendStream([], "words" as never),
  (connection) => connection.sendStream(["a", 5 as never]),
];

function callWrongly(connection: WebSocketConnection): void {
  for (const call of WRONG) {
    try {
      void call(connection);
    } catch (error) {
      if (Reflect.get(Object(error), "code") !== "INVALID_ARGUMENT") throw error;
    }
  }
}

/** Brings a connection into a state, from its own end or by its peer. */
const STATES: Readonly<Record<string, (own: WebSocketConnection, peer: WebSocketConnection) => unknown>> = {
  open: () => undefined,
  "the peer has closed": (_, peer) => peer.close(),
  "the peer is gone": (_, peer) => peer.terminate(),
  closing: (own) => own.close(),
  terminated: (own) => own.terminate(),
  closed: async (own, peer) => {
    peer.terminate();
    await own.closed;
  },
  "a handler has failed": async (own) => {
    own.on("message", () => {
      throw new Error("in a handler");
    });
  },
};

async function tryAll(own: WebSocketConnection, peer: WebSocketConnection, state: string): Promise<void> {
  await STATES[state]?.(own, peer);
  callWrongly(own);
  callAll(own);
  await turns(3);
  callAll(own);
  own.terminate();
  peer.terminate();
  await Promise.all([own.closed, peer.closed]);
  callAll(own);
  callWrongly(own);
  await turns(3);
}

async function run(name: string, act: (t: Cleanup) => Promise<void>): Promise<void> {
  const ends: (() => unknown)[] = [];
  await act({ after: (end) => void ends.push(end) });
  for (const end of ends.reverse()) await end();
  await turns(5);
  console.log(name);
}

for (const route of routes) {
  await run(route.name, async (t) => {
    const served = await route.start(t);
    for (const state of Object.keys(STATES)) {
      for (const which of ["client", "server"] as const) {
        const [one, two] = await served.pair();
        await (which === "client" ? tryAll(one, two, state) : tryAll(two, one, state));
      }
    }
    void served.server?.close();
    void served.server?.close(1012, "again");
  });
  // in the route's own handler, whose peer has disconnected when it resumes
  await run(`a handler of ${route.name}`, async (t) => {
    let ran: () => void = () => undefined;
    const done = new Promise<void>((resolve) => (ran = resolve));
    const served = await route.start(t, {}, async (connection) => {
      await connection.closed;
      void connection.send("x");
      void connection.flush();
      ran();
      await connection.send("x"); // its rejection is the handler's
    });
    const client = await served.connect();
    client.terminate();
    await done;
    await turns(5);
  });
}

await run("reconnecting", async () => {
  for (const state of [...Object.keys(STATES), "never open"]) {
    const others: WebSocketConnection[] = [];
    const own = reconnecting("ws://server/", {
      backoff: { initialDelay: 1, maxDelay: 1 },
      connect: async (url, options) => {
        if (state === "never open") throw new Error("no server");
        const [near, far] = memoryPipe();
        const [made, other] = await Promise.all([client(url, near, options), accept(far)]);
        others.push(other);
        return made;
      },
      retry: () => state !== "closed",
    });
    if (state === "never open") {
      void own.ready();
      callWrongly(own);
      callAll(own);
      await turns(3);
      own.terminate();
      void own.ready();
    } else {
      await own.ready();
      await tryAll(own, others[0] ?? own, state);
    }
    callAll(own);
    void own.ready();
    await turns(3);
    for (const other of others) other.terminate();
  }
});

await run("a server", async () => {
  const server = new WebSocketServer();
  void server.close();
  for (const wrong of [[1005], [1001, "x".repeat(124)], [1001, "", -1], [1001, "", NaN]] as [
    number,
    string?,
    number?,
  ][]) {
    try {
      void server.close(...wrong);
      console.log("a wrong argument was taken");
    } catch {
      // synchronously, as required
    }
  }
});
console.log("all");
