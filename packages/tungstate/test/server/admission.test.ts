import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";
import { HandshakeRejectedError } from "../../src/client/client.ts";
import type { ConnectOptions } from "../../src/client/connect.ts";
import type { WebSocketServerOptions } from "../../src/server/options.ts";
import { type Route, routesOfAllVersions as routes, type RouteServer } from "../support/routes.ts";
import { VirtualClock } from "../../src/testing/virtual-clock.ts";
import { turns } from "../support/server.ts";

class WithStatus {
  readonly status = 401;
}
class WithHeaders {
  readonly headers = {};
}

/** Values that are neither `true` nor a grant. */
const DENYING: readonly unknown[] = [
  false,
  undefined,
  null,
  0,
  1,
  -1,
  NaN,
  0n,
  1n,
  "",
  "true",
  Symbol("true"),
  [],
  [true],
  Object(true),
  () => true,
  new Date(),
  new Map([["protocol", "a"]]),
  new WithStatus(),
  new WithHeaders(),
  new Response("yes"),
  new Headers({ protocol: "a" }),
  new Error("no"),
  { ok: true },
  { user: "alice", headers: {} },
  { protocol: "a", [Symbol("x")]: 1 },
  { status: 401, message: "no" },
  { allowed: true, then: true },
  Object.create({ protocol: "a" }),
];

/** Ways to return a value. */
const WAYS: Readonly<Record<string, (answer: unknown) => unknown>> = {
  "at once": (answer) => answer,
  "by a promise": (answer) => turns(1).then(() => answer),
  "by a thenable object": (answer) => ({ then: (resolve: (value: unknown) => void) => resolve(answer) }),
  "by a thenable function, later": (answer) =>
    Object.assign(() => true, { then: (resolve: (value: unknown) => void) => setImmediate(resolve, answer) }),
  "by a thenable of a thenable": (answer) => ({
    then: (resolve: (value: unknown) => void) => resolve({ then: (next: (value: unknown) => void) => next(answer) }),
  }),
};

/** Hooks that decide about admission. `returns` is called with each request. */
const HOOKS: Readonly<Record<string, (returns: () => unknown) => WebSocketServerOptions>> = {
  authorize: (returns) => ({ authorize: returns as () => boolean }),
  origin: (returns) => ({ origin: returns as () => boolean }),
};
const CODES: Readonly<Record<string, string>> = { authorize: "NOT_AUTHORIZED", origin: "ORIGIN_REFUSED" };

const CLIENT: ConnectOptions = { origin: "https://page.example", protocols: ["a", "b"] };

/** The status that a client gets; 101 if it is admitted. */
async function statusOf(served: RouteServer): Promise<number> {
  try {
    const connection = await served.connect(CLIENT);
    connection.terminate();
    return 101;
  } catch (error) {
    assert.ok(error instanceof HandshakeRejectedError, String(error));
    return error.response.status;
  }
}

function shown(value: unknown): string {
  return typeof value === "object" && value !== null ? value.constructor.name : String(value);
}

for (const route of routes) {
  const start = (t: TestContext, options: WebSocketServerOptions): ReturnType<Route["start"]> =>
    route.start(t, { origin: "any", ...options });

  describe(`by ${route.name}`, () => {
    for (const [hook, optionsOf] of Object.entries(HOOKS)) {
      for (const [way, give] of Object.entries(WAYS)) {
        test(`${hook} admits by a literal true only, given ${way}`, async (t) => {
          let answer: unknown;
          const served = await start(
            t,
            optionsOf(() => give(answer)),
          );
          for (answer of DENYING) {
            // a thenable function is a function
            assert.equal(await statusOf(served), 403, shown(answer));
            assert.equal(served.refused.at(-1)?.code, CODES[hook]);
          }
          answer = true;
          assert.equal(await statusOf(served), 101);
          assert.deepEqual([served.refused.length, served.errors], [DENYING.length, []]);
        });
      }

      test(`${hook}: a thenable whose then throws, or that rejects, gets 500`, async (t) => {
        const failure = new Error("on purpose");
        const failing: readonly (() => unknown)[] = [
          () => {
            throw failure;
          },
          () => Promise.reject(failure),
          () => ({
            then() {
              throw failure;
            },
          }),
          () => ({ then: (_: unknown, reject: (error: Error) => void) => reject(failure) }),
          () => ({
            get then() {
              throw failure;
            },
          }),
        ];
        let fail: () => unknown = () => undefined;
        const served = await start(
          t,
          optionsOf(() => fail()),
        );
        for (fail of failing) assert.equal(await statusOf(served), 500);
        assert.ok(served.refused.every(({ code }) => code === "AUTHORIZE_FAILED"));
        if (served.server !== undefined) assert.deepEqual(served.errors, Array(failing.length).fill(failure));
      });

      test(`${hook}: a thenable that never settles is ended after handshakeTimeout, with 503`, async (t) => {
        const clock = new VirtualClock();
        const never = { then: () => void setImmediate(() => void clock.advance(1_000)) };
        const served = await start(t, { ...optionsOf(() => never), handshakeTimeout: 60, clock });
        assert.equal(await statusOf(served), 503);
        assert.equal(served.refused[0]?.code, "AUTHORIZE_TIMEOUT");
      });
    }

    test("authorize: a grant admits, with a subprotocol and header fields", async (t) => {
      const grants = [{}, { protocol: "b" }, { headers: { "X-A": "1" } }, { protocol: "b", headers: {} }];
      const others = [Object.assign(Object.create(null) as object, { protocol: "b" }), { protocol: undefined }];
      let answer: object = {};
      const served = await start(t, { authorize: () => answer, protocols: ["a"] });
      for (answer of [...grants, ...others]) {
        const connection = await served.connect(CLIENT);
        const expected = Reflect.get(answer, "protocol") === undefined ? "a" : "b";
        assert.equal(connection.protocol, expected);
        connection.terminate();
      }
    });

    test("origin: an invalid result is reported to the application and not to the client", async (t) => {
      const served = await start(t, { origin: (() => "yes") as never });
      await assert.rejects(served.connect(CLIENT), (error) => {
        assert.ok(error instanceof HandshakeRejectedError);
        assert.equal(Buffer.from(error.response.body).toString(), "this origin may not connect\n");
        return true;
      });
      assert.match(served.refused[0]?.message ?? "", /the origin function must return true or false, got "yes"$/);
    });

    test("authorize: an invalid result is reported to the application and not to the client", async (t) => {
      const served = await start(t, { authorize: () => "let them in" as never });
      await assert.rejects(served.connect(CLIENT), (error) => {
        assert.ok(error instanceof HandshakeRejectedError);
        assert.equal(Buffer.from(error.response.body).toString(), "not authorized\n");
        return true;
      });
      assert.match(served.refused[0]?.message ?? "", /authorize must return true, .* got "let them in"$/);
    });

    test("protocols: a function must return an offered string or undefined", async (t) => {
      let answer: unknown;
      const served = await start(t, { protocols: () => (typeof answer === "function" ? answer() : answer) as string });
      for (answer of ["b", "a", undefined]) {
        const connection = await served.connect(CLIENT);
        assert.equal(connection.protocol, answer ?? "");
        connection.terminate();
      }
      const wrong = ["c", null, false, true, 0, ["a"], { protocol: "a" }];
      const promises = [async () => "a", () => Promise.reject(new Error("ignored")), () => ({ then: () => undefined })];
      for (answer of [...wrong, ...promises]) assert.equal(await statusOf(served), 500, shown(answer));
    });
  });
}

test("without an Origin field, origin is not called, and authorize is", async (t) => {
  const [route] = routes;
  const served = await route?.start(t, { origin: () => false, authorize: () => false });
  await assert.rejects(served?.connect() ?? Promise.resolve(), HandshakeRejectedError);
  assert.equal(served?.refused[0]?.code, "NOT_AUTHORIZED");
});
