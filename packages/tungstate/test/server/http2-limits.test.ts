// Limits over HTTP/2, one below, at and one above their value. A stream that asks for a WebSocket
// is a handshake. A session without a request is a connection that arrives.
import assert from "node:assert/strict";
import { once } from "node:events";
import { type ClientHttp2Session, connect, constants } from "node:http2";
import { suite, test } from "node:test";
import type { WebSocketServerOptions } from "../../src/server/options.ts";
import { VirtualClock } from "../../src/testing/virtual-clock.ts";
import { extendedConnect } from "../support/http2-client.ts";
import { selfSigned } from "../support/pairs.ts";
import { type Cleanup, http2Routes, type RouteServer } from "../support/routes.ts";
import { until } from "../support/until.ts";

const LIMIT = 3;
const TIMEOUT = 5_000; // ms

/** "closed": the server has closed the session, by GOAWAY or before TLS. */
type Outcome = number | "waits" | "closed";

/** Opens a session. Returns undefined if the server has closed it. */
async function open(t: Cleanup, served: RouteServer): Promise<ClientHttp2Session | undefined> {
  const session = connect(served.url.replace(/^ws/, "http"), { ca: selfSigned().cert });
  session.on("error", () => undefined);
  t.after(() => session.destroy());
  const closed = new Promise((resolve) => session.once("close", resolve));
  const codes: number[] = [];
  session.on("goaway", (code: number) => codes.push(code));
  await Promise.race([once(session, "remoteSettings").catch(() => undefined), closed]);
  // a refusal comes before the answer to a PING
  if (!session.destroyed) await new Promise<void>((resolve) => session.ping(() => resolve()));
  if (codes.length === 0 && !session.destroyed) return session;
  await closed;
  // a reset of the TCP connection may overtake GOAWAY
  if (codes.length > 0) assert.equal(codes[0], constants.NGHTTP2_ENHANCE_YOUR_CALM);
  return undefined;
}

/** Asks for a WebSocket, and reads the response. */
async function ask(session: ClientHttp2Session | undefined, path = "/"): Promise<Outcome> {
  if (session === undefined) return "closed";
  const { status, stream } = await extendedConnect(session, { ":path": path });
  stream.resume();
  return status;
}

/** Each client but the last has a session that sends no request. */
async function silent(t: Cleanup, served: RouteServer, clients: number): Promise<Outcome> {
  for (let count = 1; count < clients; count++) {
    assert.ok(await open(t, served));
    await until(() => served.server?.stats.handshakes === count);
  }
  return await ask(await open(t, served));
}

/** The WebSockets of all clients are on one session. */
async function shared(t: Cleanup, served: RouteServer, clients: number): Promise<Outcome> {
  const session = await open(t, served);
  for (let count = 1; count < clients; count++) assert.equal(await ask(session), 200);
  return await ask(session);
}

/** Each client has a session with one WebSocket. */
async function separate(t: Cleanup, served: RouteServer, clients: number): Promise<Outcome> {
  for (let count = 1; count < clients; count++) assert.equal(await ask(await open(t, served)), 200);
  return await ask(await open(t, served));
}

/** Calls of `authorize`. */
let asked = 0;
const waits = {
  authorize: ({ path }: { readonly path: string }) => {
    asked++;
    return path === "/yes" || new Promise<boolean>(() => undefined);
  },
};

/** Handshakes of one session wait for `authorize`. */
async function waiting(t: Cleanup, served: RouteServer, clients: number): Promise<Outcome> {
  const session = await open(t, served);
  const before = asked;
  for (let count = 1; count < clients; count++) {
    ask(session).catch(() => undefined); // ends with its session
    await until(() => asked === before + count);
  }
  let outcome: Outcome | undefined;
  ask(session).then(
    (status) => (outcome = status),
    () => undefined,
  );
  await until(() => outcome !== undefined || asked === before + clients);
  return outcome ?? "waits";
}

interface Limit {
  readonly title: string;
  readonly options: WebSocketServerOptions;
  run(t: Cleanup, served: RouteServer, clients: number): Promise<Outcome>;
  /** For each of the clients up to the limit, and for one more. */
  readonly within: Outcome;
  readonly beyond: { readonly secure: Outcome; readonly plain: Outcome };
  readonly reason: string;
}

const FULL = "SERVER_FULL";
const TOO_MANY = "TOO_MANY_FROM_ADDRESS";
const same = (outcome: Outcome) => ({ secure: outcome, plain: outcome });

const LIMITS: readonly Limit[] = [
  {
    title: "maxHandshakes, in authorize",
    options: { ...waits, maxHandshakes: LIMIT },
    run: waiting,
    within: "waits",
    beyond: same(503),
    reason: FULL,
  },
  {
    title: "maxHandshakes, silent sessions",
    options: { maxHandshakes: LIMIT },
    run: silent,
    within: 200,
    beyond: same("closed"),
    reason: FULL,
  },
  {
    title: "maxConnections, one session",
    options: { maxConnections: LIMIT },
    run: shared,
    within: 200,
    beyond: same(503),
    reason: FULL,
  },
  {
    title: "maxConnections, many sessions",
    options: { maxConnections: LIMIT },
    run: separate,
    within: 200,
    beyond: same(503),
    reason: FULL,
  },
  {
    title: "maxConnectionsPerAddress, one session",
    options: { maxConnectionsPerAddress: LIMIT },
    run: shared,
    within: 200,
    beyond: same(429),
    reason: TOO_MANY,
  },
  {
    title: "maxConnectionsPerAddress, many sessions",
    options: { maxConnectionsPerAddress: LIMIT },
    run: separate,
    within: 200,
    // a port without an HTTP server refuses a connection before TLS
    beyond: { secure: "closed", plain: 429 },
    reason: TOO_MANY,
  },
  {
    title: "maxConnectionsPerAddress, silent sessions",
    options: { maxConnectionsPerAddress: LIMIT },
    run: silent,
    within: 200,
    beyond: same("closed"),
    reason: TOO_MANY,
  },
];

suite("limits over HTTP/2", () => {
  for (const { name, start } of http2Routes) {
    for (const { title, options, run, within, beyond, reason } of LIMITS) {
      for (const clients of [LIMIT - 1, LIMIT, LIMIT + 1]) {
        test(`${name}: ${title}, ${clients} of ${LIMIT}`, async (t) => {
          const served = await start(t, options);
          const outcome = await run(t, served, clients);
          if (clients <= LIMIT) {
            assert.equal(outcome, within);
            assert.deepEqual(served.refused, []);
            return;
          }
          assert.equal(outcome, beyond[served.secure ? "secure" : "plain"]);
          await served.until(() => served.refused.length > 0);
          assert.deepEqual(
            served.refused.map(({ code }) => code),
            [reason],
          );
        });
      }
    }

    test(`${name}: handshakeTimeout ends a session without a request, and no other`, async (t) => {
      const clock = new VirtualClock();
      const served = await start(t, { clock, handshakeTimeout: TIMEOUT });
      const used = await open(t, served);
      assert.equal(await ask(used), 200);
      const idle = await open(t, served);
      assert.ok(used !== undefined && idle !== undefined);
      const closed = once(idle, "close");
      await until(() => served.server?.stats.handshakes === 1);
      await clock.advance(TIMEOUT - 1);
      assert.equal(served.server?.stats.handshakes, 1);
      await clock.advance(1);
      await closed;
      assert.equal(served.server?.stats.handshakes, 0);
      assert.deepEqual(
        served.refused.map(({ code }) => code),
        ["ACCEPT_TIMEOUT"],
      );
      assert.equal(await ask(used), 200);
    });

    test(`${name}: handshakeTimeout ends a handshake that waits for authorize, and not its session`, async (t) => {
      const clock = new VirtualClock();
      const served = await start(t, { ...waits, clock, handshakeTimeout: TIMEOUT });
      const session = await open(t, served);
      const before = asked;
      const late = ask(session);
      await until(() => asked === before + 1);
      await clock.advance(TIMEOUT - 1);
      assert.deepEqual(served.refused, []);
      await clock.advance(1);
      assert.equal(await late, 503);
      assert.deepEqual(
        served.refused.map(({ code }) => code),
        ["AUTHORIZE_TIMEOUT"],
      );
      assert.equal(await ask(session, "/yes"), 200);
    });
  }
});
