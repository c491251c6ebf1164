// The log of `tungstate serve`, as read from stderr.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { connect } from "tungstate";
import { Server } from "../support/program.ts";

interface PacedConnection {
  readonly level: number;
  readonly msg: string;
  readonly pid: number;
  /** Number of suppressed lines. */
  readonly more?: number;
  readonly worker?: number;
}

function linesOf(server: Server): readonly PacedConnection[] {
  return server.stderr
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as PacedConnection);
}

async function refuse(server: Server, times: number): Promise<void> {
  for (let number = 0; number < times; number += 20) {
    const refused = Array.from({ length: 20 }, () => connect(server.ws("/ws"), { origin: "http://elsewhere.example" }));
    for (const { status } of await Promise.allSettled(refused)) assert.equal(status, "rejected");
  }
}

for (const workers of ["1", "2"]) {
  describe(`the log of --workers ${workers}`, () => {
    test("is JSON, and limits repeated lines to 20 a second with a count of the rest", async () => {
      await using server = await Server.start("--workers", workers, "--drain", "1");
      const from = performance.now();
      await refuse(server, 400);
      server.child.kill("SIGTERM");
      assert.deepEqual(await server.exited, { code: 0, signal: null });
      const seconds = (performance.now() - from) / 1000;
      const refused = linesOf(server).filter(({ msg }) => msg === "refused");
      const written = refused.filter(({ more }) => more === undefined).length;
      const counted = refused.reduce((sum, { more = 0 }) => sum + more, 0);
      assert.ok(written <= 20 * Number(workers) * (Math.ceil(seconds) + 1), `${written} lines in ${seconds} s`);
      // suppressed lines of the last second are not reported if the process ends before
      assert.ok(written + counted <= 400);
      for (const { level, pid } of refused) assert.deepEqual([level, typeof pid], [30, "number"]);
    });
  });
}

test("reports suppressed lines at the end of the second", async () => {
  await using server = await Server.start();
  await refuse(server, 100);
  let reported = 0;
  while (reported < 100) {
    await server.shows(new RegExp(`^(.*\n)*.*"msg":"refused".*\n`), "stderr");
    const refused = linesOf(server).filter(({ msg }) => msg === "refused");
    reported = refused.reduce((sum, { more = 1 }) => sum + more, 0);
    if (reported < 100) await new Promise((resolve) => server.child.stderr?.once("data", resolve));
  }
  assert.equal(reported, 100);
});

test("does not limit debug lines", async () => {
  await using server = await Server.start("--log-level", "debug");
  const connections = await Promise.all(Array.from({ length: 50 }, () => connect(server.ws("/ws"))));
  await Promise.all(connections.map((connection) => connection.close()));
  const count = (msg: string): number => linesOf(server).filter((line) => line.msg === msg).length;
  while (count("disconnected") < 50) await new Promise((resolve) => server.child.stderr?.once("data", resolve));
  assert.deepEqual([count("connected"), count("disconnected")], [50, 50]);
});
