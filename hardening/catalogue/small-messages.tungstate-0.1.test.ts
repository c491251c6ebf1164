// Tungstate 0.1: four clients that sent one-byte messages to /ws of tungstate serve blocked its
// event loop for 870 ms, because all 37,000 frames of a read were processed at once for each of
// them. With --workers 2, messages in transit to other processes were counted without their
// overhead.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { connect } from "tungstate";
import { sized } from "./support/cost.ts";
import { frame } from "./support/frames.ts";
import { request } from "./support/handshakes.ts";
import { Wire } from "./support/wire.ts";
import { Watched } from "../support/watched.ts";

const MESSAGES = sized(100_000, 1_000_000); // from each attacker
const LISTENERS = 20;
/**
 * Maximum CPU time of a tick in ms, as for pipelined requests: includes compilation and garbage
 * collection.
 */
const MAX_TICK = 300;

for (const workers of ["1", "2"]) {
  describe(`cli: tungstate serve --workers ${workers} processes small messages in slices`, () => {
    for (const path of ["/ws", "/echo"]) {
      test(`four times ${MESSAGES} one-byte messages to ${path}`, async (t) => {
        const server = await Watched.start("--workers", workers);
        t.after(() => server.stop());
        for (let index = 0; index < LISTENERS; index++) {
          const listener = await connect(server.ws(path), { proxy: false });
          t.after(() => listener.terminate());
          listener.on("message", () => undefined);
        }
        const one = frame(1, "x", true);
        const messages = Buffer.concat(Array.from({ length: MESSAGES }, () => one));
        const attackers = await Promise.all(
          [1, 2, 3, 4].map(async () => {
            const wire = await Wire.to(t, server.port);
            await wire.send(request({}, `GET ${path} HTTP/1.1`)).head();
            return wire;
          }),
        );
        await Promise.all(
          attackers.map(async ({ stream }) => {
            let received = 0;
            const all = new Promise<void>((resolve) => {
              stream.on("close", resolve);
              stream.on("data", (chunk: Buffer) => {
                received += chunk.length;
                if (received >= 3 * MESSAGES) resolve();
              });
            });
            stream.write(messages);
            await all;
          }),
        );
        assert.ok(server.isRunning);
        for (const { tick } of await server.settled()) assert.ok(tick < MAX_TICK, `${tick} ms`);
      });
    }
  });
}
