// The reader of stdout or stderr closes its end, as `| head -1` does. No program fails because of
// that.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import process from "node:process";
import { describe, test } from "node:test";
import { WebSocketServer } from "tungstate";
import { Program, Server } from "../support/program.ts";

const BIN = join(dirname(createRequire(import.meta.url).resolve("@tungstate/cli/package.json")), "bin", "tungstate.js");
const SECRET = "a secret of at least 32 bytes, for tests";

/** Runs `tungstate` with a stdout or stderr whose pipe is closed before it starts. */
async function runUnread(
  unread: "stdout" | "stderr" | "both",
  ...args: readonly string[]
): Promise<{ code: number | null; output: string }> {
  const where = { stdout: ">&3", stderr: "2>&3", both: ">&3 2>&3" }[unread];
  const script = `exec 3> >(exec true); wait $!; exec "$0" "$@" ${where} 3>&-`;
  const child = spawn("bash", ["-c", script, process.execPath, BIN, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => (output += text));
  }
  const [code] = (await once(child, "close")) as [number | null];
  return { code, output };
}

describe("stdout is closed", () => {
  const commands: readonly (readonly string[])[] = [
    ["--help"],
    ["--version"],
    ["help", "serve"],
    ["interfaces"],
    ["interfaces", "--json"],
    ["token", "--user", "alice", "--token-secret", SECRET],
  ];
  for (const args of commands) {
    test(`${args.slice(0, 2).join(" ")} exits with 0 and prints nothing to stderr`, async () => {
      assert.deepEqual(await runUnread("stdout", ...args), { code: 0, output: "" });
    });
  }

  for (const peer of ["closes", "never answers the Close"] as const) {
    test(`connect to a server that ${peer} exits with 0 and prints nothing to stderr`, async (t) => {
      const server = new WebSocketServer();
      server.on("connection", (connection) => {
        connection.write("a line that cannot be printed");
        // a connection that is not read does not answer a Close
        if (peer === "closes") connection.on("message", () => undefined);
      });
      const address = await server.listen({ port: 0 });
      assert.ok(typeof address === "object");
      t.after(() => server.close(1001, "", 1));
      const args = ["connect", "-q", "--linger", "60", `ws://127.0.0.1:${address.port}/`];
      assert.deepEqual(await runUnread("stdout", ...args), { code: 0, output: "" });
    });
  }
});

describe("stderr is closed", () => {
  test("connect sends and receives", async () => {
    await using server = await Server.start("--log-level", "silent");
    assert.deepEqual(await runUnread("stderr", "connect", server.ws("/echo")), { code: 0, output: "" });
    assert.deepEqual(await runUnread("both", "connect", server.ws("/echo")), { code: 0, output: "" });
  });

  test("a failure keeps its exit status", async () => {
    assert.deepEqual(await runUnread("stderr", "connect", "ws://nothing.invalid/"), { code: 1, output: "" });
    assert.deepEqual(await runUnread("stderr", "token", "--user", "alice"), { code: 1, output: "" });
  });
});

test("connect exits with 0 when stdout is closed between many messages", async () => {
  await using server = await Server.start("--log-level", "silent");
  await using program = new Program("connect", "-q", server.ws("/echo"));
  program.child.stdin.write("first\n".repeat(1000));
  await program.shows(/first/);
  program.child.stdout?.destroy();
  program.child.stdin.write("second\n".repeat(200_000));
  assert.deepEqual(await program.exited, { code: 0, signal: null });
  assert.equal(program.stderr, "");
});
