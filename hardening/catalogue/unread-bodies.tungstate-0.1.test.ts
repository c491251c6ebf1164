// Tungstate 0.1: 150 connections that sent bodies of API calls without a key took 600 MB for 330 s:
// bodies were read before the key was checked, were not charged to a memory budget, and had no
// deadline.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { sized } from "./support/cost.ts";
import { Wire } from "./support/wire.ts";
import { Watched } from "../support/watched.ts";

/** Their bodies are at least three times what the server may grow by. */
const CONNECTIONS = sized(50, 150);
const PIECE = Buffer.alloc(64 * 1024, 0x20);
const MAX_GROWTH = 120e6; // bytes

for (const workers of ["1", "2"]) {
  describe(`cli: tungstate serve --workers ${workers} keeps no body of a caller without a key`, () => {
    for (const declared of ["Content-Length: 8388608", "Transfer-Encoding: chunked"]) {
      test(`${CONNECTIONS} connections, ${declared}`, async (t) => {
        const server = await Watched.start("--workers", workers, "--api-key", "a key of sixteen characters or more");
        t.after(() => server.stop());
        const before = Math.max(...server.load(0).map(({ rss }) => rss));
        const head = `POST /api/publish HTTP/1.1\r\nHost: localhost\r\nX-API-Key: wrong\r\n${declared}\r\n\r\n`;
        const chunk = declared.startsWith("Transfer")
          ? Buffer.concat([Buffer.from(`${PIECE.length.toString(16)}\r\n`), PIECE, Buffer.from("\r\n")])
          : PIECE;
        const body = Buffer.concat(Array.from({ length: 120 }, () => chunk));
        // The head is sent first: the server's deadline for heads must not include writing the
        // bodies.
        const open = async (): Promise<Wire> => (await Wire.to(t, server.port)).send(head);
        const wires = await Promise.all(Array.from({ length: CONNECTIONS }, open));
        // Without a copy for each: the server answers immediately and closes seconds later, and a
        // client that is busy until then finds a closed connection.
        for (const wire of wires) void wire.pour([body]);
        // rejected immediately, and closed within seconds although the bodies never end
        for (const wire of wires) {
          const { status } = await wire.head();
          assert.equal(status, 401);
        }
        await Promise.all(wires.map((wire) => wire.end()));
        for (const { rss } of await server.settled()) assert.ok(rss < before + MAX_GROWTH, `${before} to ${rss} bytes`);
      });
    }
  });
}

const PATHS = ["/api/publish", "/health", "/metrics", "/", "/nothing", "/ws", "/connection/websocket"];
/** What a caller declares, and what it sends every 200 ms after the head. */
const BODIES: Readonly<Record<string, { readonly fields: string; readonly piece: string }>> = {
  "a slow body": { fields: "Content-Length: 4194304", piece: "x" },
  "a slow body in chunks": { fields: "Transfer-Encoding: chunked", piece: "1\r\nx\r\n" },
  "a body after 100-continue": { fields: "Content-Length: 4194304\r\nExpect: 100-continue", piece: "x" },
  "a body of 1 TB": { fields: "Content-Length: 1000000000000", piece: "x".repeat(16_384) },
};

describe("cli: tungstate serve answers before the body, and ends a connection whose body does not end", () => {
  for (const flags of [[], ["--api-key", "a key of sixteen characters or more"]]) {
    test(`all paths, ${flags.length === 0 ? "without an API" : "with an API"}`, async (t) => {
      const server = await Watched.start(...flags);
      t.after(() => server.stop());
      const wires: { readonly what: string; readonly wire: Wire }[] = [];
      for (const path of PATHS) {
        for (const method of ["POST", "PUT", "GET"]) {
          for (const [body, { fields, piece }] of Object.entries(BODIES)) {
            const wire = await Wire.to(t, server.port);
            wire.send(`${method} ${path} HTTP/1.1\r\nHost: localhost\r\n${fields}\r\n\r\n`);
            const timer = setInterval(() => wire.send(piece), 200);
            t.after(() => clearInterval(timer));
            wires.push({ what: `${method} ${path} with ${body}`, wire });
          }
        }
      }
      for (const { what, wire } of wires) {
        const { status } = await wire.head();
        assert.notEqual(status, 100, what);
        if (!what.startsWith("GET")) assert.ok(status >= 400, `${what}: ${status}`);
      }
      // the body never ends: only the server can end these
      await Promise.all(wires.map(({ wire }) => wire.end()));
    });
  }
});
