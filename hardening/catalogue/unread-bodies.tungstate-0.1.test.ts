// Tungstate 0.1: 150 connections that sent bodies of API calls without a key took 600 MB for 330 s:
// bodies were read before the key was checked, were not charged to a memory budget, and had no
// deadline.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { sized } from "./support/cost.ts";
import { Wire } from "./support/wire.ts";
import { Watched } from "../support/watched.ts";

/** Their bodies are at least 1.6 times what the server may grow by. */
const CONNECTIONS = sized(50, 150);
const PIECE = Buffer.alloc(64 * 1024, 0x20);
const MAX_GROWTH = 120e6; // bytes

for (const workers of ["1", "2"]) {
  describe(`cli: tungstate serve --workers ${workers} keeps no body of a caller without a key`, () => {
    for (const declared of ["Content-Length: 4194304", "Transfer-Encoding: chunked"]) {
      test(`${CONNECTIONS} connections, ${declared}`, async (t) => {
        const server = await Watched.start("--workers", workers, "--api-key", "a key of sixteen characters or more");
        t.after(() => server.stop());
        const before = Math.max(...server.load(0).map(({ rss }) => rss));
        const head = `POST /api/publish HTTP/1.1\r\nHost: a\r\nX-API-Key: wrong\r\n${declared}\r\n\r\n`;
        const chunk = declared.startsWith("Transfer")
          ? Buffer.concat([Buffer.from(`${PIECE.length.toString(16)}\r\n`), PIECE, Buffer.from("\r\n")])
          : PIECE;
        const body = Buffer.concat(Array.from({ length: 60 }, () => chunk));
        // The head is sent first: the server's deadline for heads must not include writing the
        // bodies.
        const open = async (): Promise<Wire> => (await Wire.to(t, server.port)).send(head);
        const wires = await Promise.all(Array.from({ length: CONNECTIONS }, open));
        for (const wire of wires) wire.send(body);
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
