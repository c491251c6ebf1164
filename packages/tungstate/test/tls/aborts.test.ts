import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, connect as connectTcp, type Socket } from "node:net";
import { test } from "node:test";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { client } from "../../src/client/client.ts";
import type { WebSocketConnection } from "../../src/connection/types.ts";
import { WebSocketServer } from "../../src/server/server.ts";
import { secure } from "../../src/tls/secure.ts";
import { selfSigned } from "../support/pairs.ts";
import { until } from "../support/until.ts";

/** Connections of each test. More of them: `TUNGSTATE_TLS_ABORTS=10000`. */
const CONNECTIONS = Number(process.env["TUNGSTATE_TLS_ABORTS"] ?? 200);
const IN_FLIGHT = 20;

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** A number from 0 to `below`, which depends only on `seed`. */
const pick = (seed: number, below: number): number => ((seed * 2_654_435_761) >>> 7) % below;

const later = (ticks: number): Promise<void> =>
  ticks === 0 ? Promise.resolve() : new Promise((resolve) => setImmediate(() => void later(ticks - 1).then(resolve)));

interface Ends {
  readonly raw: Socket;
  readonly encrypted?: TLSSocket;
  readonly connection?: WebSocketConnection;
}

/** Ways to end a connection abruptly, in any state of the connection. */
const aborts: readonly ((ends: Ends) => void)[] = [
  ({ raw }) => raw.destroy(),
  ({ raw }) => raw.resetAndDestroy(),
  ({ raw }) => raw.end(),
  ({ raw, encrypted }) => (encrypted ?? raw).destroy(),
  ({ raw, encrypted }) => void (encrypted ?? raw).end("not ours"),
  ({ raw }) => raw.write(Buffer.from("15030300020228", "hex"), () => raw.destroy()),
  ({ raw, connection }) => (connection === undefined ? raw.destroy() : connection.terminate()),
  ({ raw, connection }) => void (connection === undefined ? raw.end() : connection.close()),
];

for (const transport of ["auto", "socket"] as const) {
  test(`connections over TLS that are aborted at any step end, and the server serves on (${transport})`, async (t) => {
    const { key, cert } = selfSigned();
    const server = new WebSocketServer({ transport, maxHandshakes: Infinity, closeTimeout: 200 });
    let accepted = 0;
    server.on("connection", (connection) => {
      const seed = accepted++;
      connection.on("message", (message) => {
        connection.write(message);
        if (pick(seed, 5) === 0) connection.write(randomBytes(pick(seed, 300_000)));
        if (pick(seed, 7) === 0) connection.terminate();
      });
    });
    t.after(() => server.close(1001, "", 1));
    const { port } = (await server.listen({ tls: { key, cert } })) as AddressInfo;

    const one = async (seed: number): Promise<void> => {
      const abort = aborts[pick(seed, aborts.length)];
      const step = pick(seed, 6);
      const raw = connectTcp(port, "127.0.0.1").on("error", () => undefined);
      await once(raw, "connect");
      const closed = new Promise((resolve) => raw.once("close", resolve));
      try {
        if (step === 0) return;
        if (step === 1) {
          const encrypted = connectTls({ socket: raw, ca: cert, servername: "localhost" });
          encrypted.on("error", () => undefined);
          await later(pick(seed, 4));
          abort({ raw, encrypted });
          return;
        }
        const { stream } = await secure(raw, { host: "localhost", ca: cert, sessionCache: false });
        stream.on("error", () => undefined);
        if (step === 2) {
          abort({ raw, encrypted: stream });
          return;
        }
        const upgrading = client("wss://localhost/", stream, { transport, closeTimeout: 200 });
        if (step === 3) {
          await later(pick(seed, 4));
          abort({ raw, encrypted: stream });
          await upgrading;
          return;
        }
        const connection = await upgrading;
        if (step === 5) connection.on("message", () => undefined);
        for (let message = 0; message < 1 + pick(seed, 3); message++) {
          connection.write(randomBytes(pick(seed + message, 200_000)));
        }
        await later(pick(seed, 6));
        abort({ raw, encrypted: stream, connection });
        await connection.closed;
      } catch (error) {
        assert.ok(error instanceof Error && "code" in error, String(error)); // it was aborted
      } finally {
        raw.destroy();
        await closed;
      }
    };
    let next = 0;
    const lane = async (): Promise<void> => {
      while (next < CONNECTIONS) {
        if (next % 50 === 0) collectGarbage();
        await one(next++);
      }
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
    await until(() => server.connections.size === 0 && server.stats.handshakes === 0, "the end of all connections");

    const { stream } = await secure(connectTcp(port, "127.0.0.1"), { host: "localhost", ca: cert });
    const connection = await client("wss://localhost/", stream, { transport });
    connection.write("still there");
    for await (const message of connection) {
      assert.equal(message.text, "still there");
      break;
    }
    connection.terminate();
  });
}
