import { WebSocketError } from "@tungstate/protocol";
import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";
import type { Decision } from "../../src/server/admission/decision.ts";
import { accept } from "../../src/server/accept.ts";
import type { HandshakeRequest } from "../../src/server/admission/request.ts";
import type { WebSocketServerOptions } from "../../src/server/options.ts";
import { memoryPipe } from "../../src/testing/memory-pipe.ts";
import { VirtualClock } from "../../src/testing/virtual-clock.ts";
import { connect } from "../../src/client/connect.ts";
import { frame, Raw, TEXT, upgradeRequest } from "../support/raw.ts";
import { serve, turns } from "../support/server.ts";
import { until } from "../support/until.ts";

type Authorize = NonNullable<WebSocketServerOptions["authorize"]>;

/** Ways in which a result can be returned. */
const ways: readonly [name: string, give: (answer: () => Decision) => Authorize][] = [
  ["at once", (answer) => () => answer()],
  ["later", (answer) => async () => (await turns(2), answer())],
  [
    "by a thenable",
    (answer) => () => {
      const later = turns(1).then(answer);
      return { then: later.then.bind(later) };
    },
  ],
];

for (const [way, give] of ways) {
  describe(`authorize returns ${way}`, () => {
    test("admission", async (t) => {
      for (const yes of [true, {}]) {
        const served = await serve(t, { authorize: give(() => yes) });
        assert.equal((await Raw.to(t, served).send(upgradeRequest()).head()).status, 101);
      }
    });

    test("rejection", async (t) => {
      const served = await serve(t, { authorize: give(() => false) });
      const answer = await Raw.to(t, served).send(upgradeRequest()).answer();
      assert.equal(answer.status, 403);
      assert.deepEqual(
        served.refused.map(({ code, status }) => [code, status]),
        [["NOT_AUTHORIZED", 403]],
      );
    });

    test("rejection with a status, header fields and a body", async (t) => {
      const body = Buffer.from([1, 2, 3]);
      const refusal = { status: 401, headers: { "WWW-Authenticate": "Bearer", "X-A": ["1", "2"] }, body };
      const served = await serve(t, { authorize: give(() => refusal) });
      await assert.rejects(
        connect(served.url, { proxy: false }),
        ({
          code,
          response,
        }: {
          code: string;
          response: Record<string, unknown> & { headers: Headers; body: Uint8Array };
        }) => {
          assert.equal(code, "UNEXPECTED_STATUS");
          assert.deepEqual([response["status"], response.headers.get("www-authenticate")], [401, "Bearer"]);
          assert.equal(response.headers.get("x-a"), "1, 2");
          assert.deepEqual(Buffer.from(response.body), body);
          return true;
        },
      );
      assert.deepEqual(
        served.refused.map(({ code, status }) => [code, status]),
        [["NOT_AUTHORIZED", 401]],
      );
    });

    test("admission with a subprotocol and header fields of the 101", async (t) => {
      const served = await serve(t, { authorize: give(() => ({ protocol: "b", headers: { "Set-Cookie": "a=1" } })) });
      const raw = Raw.to(t, served).send(upgradeRequest("/", { "Sec-WebSocket-Protocol": "a, b" }));
      const { headers } = await raw.head();
      assert.deepEqual([headers["sec-websocket-protocol"], headers["set-cookie"]], ["b", "a=1"]);
      assert.equal(served.accepted[0]?.connection.protocol, "b");
    });

    const mistakes: readonly [name: string, answer: () => unknown, says: RegExp][] = [
      ["an error", () => assert.fail("the database is down"), /the database is down/],
      ["a status that refuses nothing", () => ({ status: 200 }), /status/],
      ["header fields that can't be sent", () => ({ headers: { "X-A": "a\r\nX-B: c" } }), /X-A/],
      ["header fields of a refusal that can't be sent", () => ({ status: 401, headers: { "X A": "" } }), /X A/],
      ["a subprotocol that was not offered", () => ({ protocol: "c" }), /protocol/],
    ];
    for (const [name, answer, says] of mistakes) {
      test(`${name}: 500 for the client, the error for the application`, async (t) => {
        const served = await serve(t, { authorize: give(answer as () => Decision) });
        const { status, rest } = await Raw.to(t, served).send(upgradeRequest()).answer();
        assert.deepEqual([status, rest.toString()], [500, "the authorization failed\n"]);
        assert.equal(served.refused[0]?.code, "AUTHORIZE_FAILED");
        assert.equal(served.errors.length, 1);
        assert.match(String(served.errors[0]), says);
        assert.deepEqual(served.accepted, []);
      });
    }
  });
}

test("authorize receives the request, and data added to it reaches the handlers", async (t) => {
  const seen: HandshakeRequest[] = [];
  const served = await serve(t, {
    authorize: async (request) => {
      seen.push(request);
      request.data = { user: request.query.get("user"), token: request.headers.get("authorization") };
      return true;
    },
  });
  const [client] = await served
    .pair({ headers: { Authorization: "Bearer x" } })
    .then(async () => served.pair({ headers: { Authorization: "Bearer y" } }));
  assert.deepEqual(served.accepted[1]?.request.data, { user: null, token: "Bearer y" });
  assert.equal(served.accepted[1]?.request, seen[1]);
  assert.equal(seen[1]?.signal?.aborted, false);
  assert.equal(seen[1]?.remoteAddress, "127.0.0.1");
  await client.close();
});

test("it is called last: not for a path, an origin or a request that is rejected anyway", async (t) => {
  let asked = 0;
  const served = await serve(t, { path: "/chat", authorize: () => ++asked > 0 });
  for (const [text, status] of [
    [upgradeRequest("/other"), 404],
    [upgradeRequest("/chat", { Origin: "https://evil.example" }), 403],
    [upgradeRequest("/chat", { "Sec-WebSocket-Key": "x" }), 400],
  ] as const) {
    assert.equal((await Raw.to(t, served).send(text).answer()).status, status);
  }
  assert.equal(asked, 0);
  assert.equal((await Raw.to(t, served).send(upgradeRequest("/chat?x=/other")).head()).status, 101);
  assert.equal(asked, 1);
});

describe("an authorize that takes time", () => {
  const never = () => new Promise<boolean>(() => undefined);

  test("too much: 503, and its signal is aborted; a later result is ignored", async () => {
    const clock = new VirtualClock();
    const [near, far] = memoryPipe();
    let signal: AbortSignal | undefined;
    let answer: (decision: boolean) => void = () => undefined;
    const accepted = accept(far, {
      clock,
      handshakeTimeout: 500,
      authorize: (request) => {
        signal = request.signal;
        return new Promise((resolve) => (answer = resolve));
      },
    });
    const rejected = assert.rejects(accepted, { code: "AUTHORIZE_TIMEOUT", status: 503 });
    const raw = new Raw(near).send(upgradeRequest());
    await clock.advance(499);
    assert.equal(signal?.aborted, false);
    await clock.advance(51);
    await rejected;
    assert.equal(signal?.aborted, true);
    const reason: unknown = signal?.reason;
    assert.ok(reason instanceof WebSocketError);
    assert.equal(reason.code, "AUTHORIZE_TIMEOUT");
    answer(true);
    assert.equal((await raw.answer()).status, 503);
    await clock.advance(2000);
    assert.equal(clock.pending, 0);
    near.destroy();
  });

  test("the client disconnects meanwhile: its signal is aborted, and the place is released", async (t) => {
    for (const how of ["end", "destroy"] as const) {
      const signals: AbortSignal[] = [];
      const served = await serve(t, {
        authorize: ({ signal }) => {
          if (signal !== undefined) signals.push(signal);
          return never();
        },
        maxHandshakes: 1,
      });
      const raw = Raw.to(t, served).send(upgradeRequest());
      while (signals.length === 0) await turns(1);
      raw.stream[how]();
      await served.until(() => served.refused.length === 1);
      assert.equal(served.refused[0]?.code, "REQUEST_LOST");
      assert.equal(signals[0]?.aborted, true);
      await raw.gone();
      Raw.to(t, served).send(upgradeRequest());
      while (signals.length === 1) await turns(1);
      assert.equal(served.refused.length, 1);
    }
  });

  test("data of the client is kept meanwhile, up to a limit", async (t) => {
    let asked = 0;
    let answer: (decision: boolean) => void = () => undefined;
    const served = await serve(t, {
      authorize() {
        asked++;
        return new Promise((resolve) => (answer = resolve));
      },
    });
    const raw = Raw.to(t, served).send(upgradeRequest(), frame(TEXT, "with it"));
    await until(() => asked === 1);
    raw.send(frame(TEXT, "behind it"));
    await turns(2); // it is read meanwhile
    served.server.on("connection", (connection) => {
      connection.on("message", (message) => void connection.write(`heard ${message.text}`));
    });
    answer(true);
    assert.deepEqual(
      (await raw.frames(2)).map(({ payload }) => payload.toString()),
      ["heard with it", "heard behind it"],
    );

    const flood = Raw.to(t, served).send(upgradeRequest());
    await until(() => asked === 2);
    flood.send(Buffer.alloc(70_000));
    assert.equal((await flood.answer()).status, 400);
    assert.equal(served.refused[0]?.code, "TOO_MUCH_EARLY_DATA");
  });

  test("the server closes meanwhile: 503", async (t) => {
    const signals: AbortSignal[] = [];
    const served = await serve(t, {
      authorize: ({ signal }) => {
        if (signal !== undefined) signals.push(signal);
        return never();
      },
    });
    const raw = Raw.to(t, served).send(upgradeRequest());
    while (signals.length === 0) await turns(1);
    await served.server.close();
    assert.equal((await raw.answer()).status, 503);
    assert.equal(signals[0]?.aborted, true);
  });

  test("accept is aborted by its signal: 503", async () => {
    for (const when of ["before", "meanwhile"]) {
      const [near, far] = memoryPipe();
      const abort = new AbortController();
      const reason = new Error("as expected");
      if (when === "before") abort.abort(reason);
      const accepted = assert.rejects(accept(far, { signal: abort.signal, authorize: never }), {
        code: "SERVER_CLOSING",
        cause: reason,
      });
      const raw = new Raw(near).send(upgradeRequest());
      await turns(2);
      abort.abort(reason);
      await accepted;
      assert.equal((await raw.answer()).status, 503);
      near.end();
      await raw.gone();
    }
  });
});

describe("the subprotocol", () => {
  const choose = async (
    t: TestContext,
    protocols: NonNullable<WebSocketServerOptions["protocols"]> | undefined,
    offered: string | undefined,
  ): Promise<string | undefined> => {
    const served = await serve(t, protocols === undefined ? {} : { protocols });
    const raw = Raw.to(t, served).send(upgradeRequest("/", { "Sec-WebSocket-Protocol": offered }));
    const { status, headers } = await raw.head();
    const chosen = headers["sec-websocket-protocol"];
    if (status !== 101) return String(status);
    assert.equal(served.accepted[0]?.connection.protocol, chosen ?? "");
    return chosen;
  };

  test("is the first of the server's that the client offers", async (t) => {
    assert.equal(await choose(t, ["a", "b"], "b, a"), "a");
    assert.equal(await choose(t, ["a", "b"], "x, b"), "b");
    assert.equal(await choose(t, ["a"], "A"), undefined);
    assert.equal(await choose(t, ["a"], "x"), undefined);
    assert.equal(await choose(t, ["a"], undefined), undefined);
    assert.equal(await choose(t, undefined, "a"), undefined);
    assert.equal(await choose(t, [], "a"), undefined);
  });

  test("or the result of a function", async (t) => {
    assert.equal(await choose(t, (offered) => offered[1], "a, b"), "b");
    assert.equal(await choose(t, () => undefined, "a"), undefined);
    assert.equal(await choose(t, (_offered, request) => request.protocols.at(-1), "a, b"), "b");
    assert.equal(await choose(t, () => "c", "a"), "500");
    assert.equal(await choose(t, () => assert.fail("oops"), "a"), "500");
    assert.equal(await choose(t, (async () => "a") as never, "a"), "500");
  });
});
