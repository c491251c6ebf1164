// Tungstate 0.1: four clients that sent messages of a byte to /ws of tungstate serve stopped its event loop for 870 ms: all 37,000 frames of a read were
// processed at once, for each of them. With --workers 2 messages that were on their way to other processes were counted by their own bytes alone.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { connect } from "tungstate";
import { sized } from "./support/cost.ts";
import { frame } from "./support/frames.ts";
import { request } from "./support/handshakes.ts";
import { Wire } from "./support/wire.ts";
import { Watched } from "../support/watched.ts";

const MESSAGES = sized(100_000, 1_000_000); // of each attacker
const LISTENERS = 20;
/** ms of CPU time at most, as of pipelined requests: compiling and collecting garbage counts as well. */
const MOST_TURN = 300;

for (const workers of ["1", "2"]) {
  describe(`cli: tungstate serve --workers ${workers} processes small messages a part at a time`, () => {
    for (const path of ["/ws", "/echo"]) {
      test(`four times ${MESSAGES} messages of a byte to ${path}`, async (t) => {
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
        for (const { turn } of await server.settled()) assert.ok(turn < MOST_TURN, `${turn} ms`);
      });
    }
  });
}
