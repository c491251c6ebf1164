// Application code that throws or rejects, in each hook, event and handler. Those concerned are
// notified, and everything else continues.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { attachSocket, Hub, type HubOptions, type NamespaceOptions } from "@tungstate/hub";
import {
  connect,
  HandshakeRejectedError,
  reconnecting,
  type ReconnectOptions,
  type WebSocketConnection,
  WebSocketError,
  type WebSocketServer,
  type WebSocketServerOptions,
} from "tungstate";
import { leavingNothing } from "./support/leaks.ts";
import { until, withServer } from "./support/sockets.ts";

const FAULT = new Error("the application's own mistake");

/** The ways in which a function of the application fails. */
const FAILURES: Readonly<Record<string, () => never | Promise<never>>> = {
  throws: () => {
    throw FAULT;
  },
  "is rejected": () => Promise.reject(FAULT),
  "is rejected later": async () => {
    await new Promise((resolve) => setTimeout(resolve, 5));
    throw FAULT;
  },
};
const SYNCHRONOUS = Object.fromEntries(Object.entries(FAILURES).slice(0, 1));

interface Setting {
  readonly server: WebSocketServer;
  readonly url: string;
  readonly errors: unknown[];
  readonly refusals: string[];
}

/** The same where the types expect no result: an async function can be passed all the same. */
const unasked = (fail: () => unknown): (() => void) => fail;

/**
 * A server with an error listener. `work` checks its behaviour, and the helper checks that it still
 * works.
 */
async function serving(options: WebSocketServerOptions, work: (setting: Setting) => Promise<void>): Promise<void> {
  await leavingNothing(() =>
    withServer(options, async (server, port) => {
      const [errors, refusals]: [unknown[], string[]] = [[], []];
      server.on("error", (error) => errors.push(error));
      server.on("refused", (error) => refusals.push(error.code));
      await work({ server, url: `ws://127.0.0.1:${port}/`, errors, refusals });
    }),
  );
}

/** Error codes that a client receives. */
async function end(client: WebSocketConnection): Promise<number> {
  return (await client.closed).code;
}

describe("hooks of the handshake: the client gets 500, the application its error", () => {
  const hooks: Readonly<Record<string, (fail: () => never) => WebSocketServerOptions>> = {
    protocols: (fail) => ({ protocols: fail }),
    origin: (fail) => ({ origin: fail }),
    authorize: (fail) => ({ authorize: fail }),
  };
  for (const [name, optionsOf] of Object.entries(hooks)) {
    const failures = name === "authorize" ? FAILURES : SYNCHRONOUS;
    for (const [how, fail] of Object.entries(failures)) {
      test(`${name} ${how}`, () =>
        serving(optionsOf(fail as () => never), async ({ url, errors, refusals }) => {
          for (let time = 0; time < 2; time++) {
            await assert.rejects(
              connect(url, {
                proxy: false,
                protocols: ["a"],
                ...(name === "origin" && { origin: "http://a.example" }),
              }),
              (error: unknown) => error instanceof HandshakeRejectedError && error.response.status === 500,
            );
          }
          assert.deepEqual(errors, [FAULT, FAULT]);
          assert.deepEqual(refusals, ["AUTHORIZE_FAILED", "AUTHORIZE_FAILED"]);
        }));
    }
  }
});

describe("listeners of a server", () => {
  for (const [how, fail] of Object.entries(FAILURES)) {
    test(`connection ${how}: that connection ends with 1011, and others continue`, () =>
      serving({}, async ({ server, url, errors }) => {
        const good = await connect(url, { proxy: false });
        server.once("connection", fail);
        const bad = await connect(url, { proxy: false });
        assert.equal(await end(bad), 1011);
        assert.deepEqual(errors, [FAULT]);
        await until(() => server.connections.size === 1);
        assert.equal(good.state, "open");
        await good.close();
      }));

    test(`connection ${how}, long after the client has left`, () =>
      serving({}, async ({ server, url, errors }) => {
        server.once("connection", async (connection) => {
          await connection.closed;
          return fail();
        });
        await (await connect(url, { proxy: false })).close();
        await until(() => errors.length === 1);
        assert.deepEqual(errors, [FAULT]);
      }));

    test(`refused ${how}`, () =>
      serving({ path: "/here" }, async ({ server, url, errors }) => {
        server.on("refused", fail);
        await assert.rejects(connect(url, { proxy: false }), HandshakeRejectedError);
        await until(() => errors.length === 1);
        await (await connect(`${url}here`, { proxy: false })).close();
        assert.deepEqual(errors, [FAULT]);
      }));

    test(`error ${how}: reported once, as a warning`, () =>
      serving({}, async ({ server, url }) => {
        const warnings: Error[] = [];
        const note = (warning: Error): void => void warnings.push(warning);
        process.on("warning", note);
        server.on("error", fail);
        server.once("connection", () => {
          throw new Error("first");
        });
        await end(await connect(url, { proxy: false }));
        await until(() => warnings.length > 0);
        process.off("warning", note);
        assert.deepEqual(
          warnings.map((warning) => warning.message),
          [FAULT.message],
        );
      }));
  }
});

describe("listeners of a connection: it ends with 1011, and the server's error event has the thrown value", () => {
  const provoke: Readonly<Record<string, (client: WebSocketConnection, own: WebSocketConnection) => void>> = {
    message: (client) => void client.write("a message"),
    ping: (client) => void client.ping().catch(() => undefined),
    pong: (_client, own) => void own.ping().catch(() => undefined),
    drain: (_client, own) => void own.write(Buffer.alloc(16_000_000)),
    error: (_client, own) => own.terminate(),
    close: (client) => void client.close(),
  };
  for (const [event, act] of Object.entries(provoke)) {
    for (const [how, fail] of Object.entries(FAILURES)) {
      test(`${event} ${how}`, () =>
        serving({}, async ({ server, url, errors }) => {
          const others: string[] = [];
          server.on("connection", (own) => {
            own.on(event as "message", fail);
            own.on(event as "message", () => others.push(event));
            if (event !== "message") own.resume();
          });
          const client = await connect(url, { proxy: false });
          client.on("message", () => undefined);
          const [own] = server.connections;
          assert.ok(own !== undefined);
          act(client, own);
          const code = await end(client);
          // nothing is reported if the connection has ended anyway
          assert.equal(code, { error: 1006, close: 1000 }[event] ?? 1011);
          await until(() => errors.length > 0);
          // a throwing listener ends the connection: afterwards only error and close listeners are
          // called
          const isOver = how === "throws" && event !== "error" && event !== "close";
          assert.deepEqual([errors, others], [[FAULT], isOver ? [] : [event]]);
        }));
    }
  }

  test("a generator of a stream throws: immediately, between messages, and when it yields an invalid value", () =>
    leavingNothing(async () => {
      for (const fails of [
        async function* (): AsyncGenerator<string> {
          if (FAULT instanceof Error) throw FAULT;
          yield "never";
        },
        async function* (messages: AsyncIterable<{ text: string }>): AsyncGenerator<string> {
          for await (const message of messages) {
            yield message.text;
            throw FAULT;
          }
        },
        async function* (): AsyncGenerator<string> {
          yield 7 as unknown as string;
        },
      ]) {
        await withServer({}, async (server, port) => {
          const errors: unknown[] = [];
          server.on("error", (error) => errors.push(error)).stream(fails);
          const client = await connect(`ws://127.0.0.1:${port}/`, { proxy: false });
          client.write("go");
          assert.equal(await end(client), 1011);
          assert.equal(errors.length, 1);
        });
      }
    }));

  test("a listener of a client throws: its connection ends, with a warning", () =>
    serving({}, async ({ server, url }) => {
      const warnings: Error[] = [];
      const note = (warning: Error): void => void warnings.push(warning);
      process.on("warning", note);
      server.on("connection", (own) => void own.write("a message"));
      const client = await connect(url, { proxy: false });
      client.on("message", () => {
        throw FAULT;
      });
      const { error } = await client.closed;
      assert.deepEqual([error?.code, error?.cause], ["HANDLER_FAILED", FAULT]);
      await until(() => warnings.length === 1);
      process.off("warning", note);
      assert.equal(warnings[0], FAULT);
    }));

  test("the source of sendStream throws: the message cannot be finished, and the caller is notified", () =>
    serving({}, async ({ server, url }) => {
      const client = await connect(url, { proxy: false });
      async function* source(): AsyncGenerator<string> {
        yield "part";
        throw FAULT;
      }
      await assert.rejects(
        client.sendStream(source(), "text"),
        (error: unknown) => error === FAULT || error instanceof WebSocketError,
      );
      client.terminate();
      await client.closed;
      await until(() => server.connections.size === 0);
    }));
});

describe("functions passed to reconnecting", () => {
  const options: ReconnectOptions = { proxy: false, watchNetworks: false, backoff: { initialDelay: 1, maxDelay: 1 } };
  for (const [how, fail] of Object.entries(FAILURES)) {
    test(`url ${how}: the attempt fails, and the next one follows`, () =>
      serving({}, async ({ url }) => {
        let asked = 0;
        const connection = reconnecting(async () => (asked++ === 0 ? fail() : url), options);
        await connection.ready();
        assert.equal(asked, 2);
        await connection.close();
      }));

    test(`headers ${how}`, () =>
      serving({}, async ({ url }) => {
        let asked = 0;
        const connection = reconnecting(url, { ...options, headers: async () => (asked++ === 0 ? fail() : {}) });
        await connection.ready();
        await connection.close();
      }));

    for (const event of ["connecting", "open", "message", "waiting"] as const) {
      test(`a listener of ${event} ${how}: it ends, with the reason`, () =>
        serving({ authorize: ({ path }) => path !== "/no" }, async ({ server, url }) => {
          server.on("connection", (own) => void own.write("a message"));
          const connection = reconnecting(event === "waiting" ? `${url}no` : url, {
            ...options,
            ...(event === "waiting" && { retry: () => true }),
          });
          const errors: unknown[] = [];
          connection.on("error", (error) => errors.push(error.cause));
          connection.once(event as "open", fail);
          const { error } = await connection.closed;
          assert.equal(error?.code, "HANDLER_FAILED");
          assert.deepEqual(errors, [FAULT]);
          await until(() => server.connections.size === 0);
        }));
    }
  }

  test("retry throws: it ends, with the reason", () =>
    serving({ path: "/elsewhere" }, async ({ url }) => {
      const connection = reconnecting(url, {
        ...options,
        retry: () => {
          throw FAULT;
        },
      });
      connection.on("error", () => undefined);
      const { error } = await connection.closed;
      assert.deepEqual([error?.code, error?.cause], ["HANDLER_FAILED", FAULT]);
    }));
});

describe("hooks of the hub", () => {
  interface HubSetting {
    readonly client: WebSocketConnection;
    readonly errors: unknown[];
    /** Sends a command and returns what arrives next; undefined if the connection ended. */
    readonly ask: (command: object) => Promise<Record<string, unknown> | undefined>;
  }

  async function hubServing(
    options: Partial<HubOptions>,
    work: (setting: HubSetting) => Promise<void>,
    namespace: NamespaceOptions = {},
  ): Promise<void> {
    await leavingNothing(async () => {
      const errors: unknown[] = [];
      const hub = new Hub({
        anonymous: true,
        namespaces: { "": { subscribe: "anyone", publish: "anyone", ...namespace } },
        onError: (error) => errors.push(error),
        ...options,
      });
      await hub.start();
      await withServer({}, async (server, port) => {
        server.on("connection", (socket) => void attachSocket(hub, socket));
        const client = await connect(`ws://127.0.0.1:${port}/`, { proxy: false });
        const lines: string[] = [];
        const reading = (async () => {
          for await (const message of client) lines.push(...message.text.split("\n"));
        })();
        const ask: HubSetting["ask"] = async (command) => {
          client.write(JSON.stringify(command));
          await until(() => lines.length > 0 || client.state === "closed");
          const line = lines.shift();
          return line === undefined ? undefined : (JSON.parse(line) as Record<string, unknown>);
        };
        await work({ client, errors, ask });
        client.terminate();
        await reading;
      });
      await hub.close();
    });
  }

  const CONNECT = { id: 1, connect: {} };
  const internal = (reply: Record<string, unknown> | undefined): unknown =>
    (reply?.["error"] as { code?: number })?.code;

  for (const [how, fail] of Object.entries(FAILURES)) {
    test(`authenticate ${how}: the client may retry`, () =>
      hubServing({ authenticate: fail }, async ({ ask, errors }) => {
        assert.equal(internal(await ask(CONNECT)), 100);
        assert.deepEqual(errors, [FAULT]);
      }));

    test(`onConnect, onMessage and onDisconnect: each ${how}`, () =>
      hubServing(
        { onConnect: unasked(fail), onMessage: unasked(fail), onDisconnect: unasked(fail) },
        async ({ ask, errors, client }) => {
          assert.ok("connect" in ((await ask(CONNECT)) ?? {}));
          await until(() => errors.length === 1);
          client.write(JSON.stringify({ send: { data: 1 } }));
          await until(() => errors.length === 2);
          assert.ok("subscribe" in ((await ask({ id: 2, subscribe: { channel: "here" } })) ?? {}));
          await client.close();
          await until(() => errors.length === 3);
          assert.deepEqual(errors, [FAULT, FAULT, FAULT]);
        },
      ));

    for (const [name, command] of [
      ["subscribe", { subscribe: { channel: "here" } }],
      ["publish", { publish: { channel: "here", data: 1 } }],
      ["readPresence", { presence: { channel: "here" } }],
      ["readHistory", { history: { channel: "here" } }],
    ] as const) {
      test(`${name} of a namespace ${how}: that command fails, others do not`, () =>
        hubServing(
          {},
          async ({ ask, errors }) => {
            await ask(CONNECT);
            const reply = await ask({ id: 2, ...command });
            assert.equal(internal(reply), 100);
            assert.deepEqual(errors, [FAULT]);
            assert.ok("ping" in ((await ask({ id: 3, ping: {} })) ?? { ping: {} }));
          },
          { presence: true, history: { size: 10, ttl: 1000 }, [name]: fail },
        ));
    }

    test(`an error listener ${how}: nothing more can be reported`, () =>
      hubServing({ onError: unasked(fail), authenticate: fail }, async ({ ask }) => {
        assert.equal(internal(await ask(CONNECT)), 100);
      }));
  }
});
