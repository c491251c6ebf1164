// Tungstate 0.1: 1,000 pipelined GET /health (33 KB) blocked the event loop of tungstate serve for
// 1.6 s, 300 GET /metrics for 0.5 to 1.3 s. Each unregistered close code became a permanent label
// of the metrics.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { connect } from "tungstate";
import { sized } from "./support/cost.ts";
import { Wire } from "./support/wire.ts";
import { Watched } from "../support/watched.ts";

/**
 * ms. A slice takes a few; initial work of the process (compilation, garbage collection) also
 * counts. Three times 2,000 requests took 9 s.
 */
const MAX_TICK = 300;

const SLOWLY_ANSWERED = sized(4_000_000, 40_000_000); // bytes of responses to each of three clients
const MOST_GROWTH = 100e6; // bytes

const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`;

for (const workers of ["1", "2"]) {
  describe(`cli: tungstate serve --workers ${workers} answers pipelined requests in slices`, () => {
    let server: Watched;
    before(async () => void (server = await Watched.start("--workers", workers)));
    after(() => server.stop());

    for (const [path, count] of [
      ["/health", sized(2_000, 100_000)],
      ["/health/ready", sized(2_000, 100_000)],
      ["/metrics", sized(300, 10_000)],
      ["/nothing", sized(2_000, 20_000)],
      ["/", sized(300, 10_000)],
    ] as const) {
      test(`${count} × GET ${path}`, async (t) => {
        const from = Date.now();
        const attackers = await Promise.all([1, 2, 3].map(() => Wire.to(t, server.port)));
        await Promise.all(
          attackers.map(async (wire) => {
            let responses = 0;
            let rest = "";
            wire.stream.on("data", (chunk: Buffer) => {
              const parts = (rest + chunk.toString("latin1")).split("HTTP/1.1 ");
              responses += parts.length - 1;
              rest = parts.at(-1)?.slice(-8) ?? "";
            });
            wire.send(get(path).repeat(count));
            while (responses < count) await new Promise((resolve) => wire.stream.once("data", resolve));
          }),
        );
        for (const { tick } of await server.settled(from)) assert.ok(tick < MAX_TICK, `${tick} ms`);
      });
    }
  });
}

test("cli: requests that are sent faster than they are answered wait at the client", async (t) => {
  const server = await Watched.start();
  t.after(() => server.stop());
  const before = Math.max(...server.load(0).map(({ rss }) => rss));
  const requests = Buffer.from(get("/health").repeat(1_000));
  const attackers = await Promise.all([1, 2, 3].map(() => Wire.to(t, server.port)));
  await Promise.all(
    attackers.map(async ({ stream }) => {
      let received = 0;
      const enough = new Promise<void>((resolve) => {
        stream.on("data", (chunk: Buffer) => {
          received += chunk.length;
          if (received > SLOWLY_ANSWERED) resolve();
        });
      });
      const send = (): void => {
        while (stream.write(requests));
      };
      stream.on("drain", send);
      send();
      await enough;
      stream.off("drain", send);
    }),
  );
  for (const { rss } of await server.settled()) assert.ok(rss < before + MOST_GROWTH, `${before} to ${rss} bytes`);
});

test("cli: unregistered close codes share one label", async (t) => {
  const server = await Watched.start();
  t.after(() => server.stop());
  const codes = Array.from({ length: 100 }, (_, index) => 3600 + 13 * index);
  for (const code of codes) await (await connect(server.ws("/ws"), { proxy: false })).close(code);
  let text = "";
  while (!text.includes(`path="/ws",code="other"} ${codes.length}\n`))
    text = await (await fetch(`${server.url}/metrics`)).text();
  assert.equal(text.match(/^tungstate_closes_total\{path="\/ws"/gm)?.length, 1);
});
