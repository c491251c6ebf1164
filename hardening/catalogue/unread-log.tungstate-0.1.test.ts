// Tungstate 0.1: 400 rejected handshakes, while stderr was an unread pipe, stopped tungstate serve,
// because it wrote its log synchronously. SIGTERM had no effect.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { describe, test, type TestContext } from "node:test";
import { connect } from "tungstate";
import { request } from "./support/handshakes.ts";
import { BIN } from "./support/program.ts";
import { Wire } from "./support/wire.ts";

const REFUSED = 400;
const LOGGED = 500; // connections with two log lines each: more than a pipe buffers

const AT_A_TIME = 20;

/** Runs `command` with a stderr that is open and unread. The process becomes that command. */
const UNREAD: Readonly<Record<string, (command: readonly string[]) => readonly string[]>> = {
  pipe: (command) => ["bash", "-c", 'exec "$@" 2> >(exec sleep 1000)', "-", ...command],
  socket: (command) => command,
  terminal: (command) => ["python3", "-c", OPEN_TERMINAL, ...command],
};

const OPEN_TERMINAL = `
import os, sys
reader, writer = os.openpty()
os.set_inheritable(reader, True)
os.dup2(writer, 2)
os.execv(sys.argv[1], sys.argv[1:])`;

async function serveUnread(t: TestContext, unread: string): Promise<{ child: ChildProcess; url: string }> {
  const args = ["serve", "--port", "0", "--drain", "1", "--log-level", "debug"];
  const [program = "", ...rest] = UNREAD[unread]?.([process.execPath, BIN, ...args]) ?? [];
  // stderr: the socket, whose other end is not read
  const child = spawn(program, rest, { stdio: ["ignore", "pipe", "pipe"], detached: true });
  t.after(() => {
    try {
      process.kill(-(child.pid ?? 0), "SIGKILL");
    } catch {
      // none of its processes remains
    }
  });
  let text = "";
  for await (const chunk of child.stdout) {
    text += String(chunk);
    const [, url] = /listening on (\S+)\n/.exec(text) ?? [];
    if (url !== undefined) return { child, url };
  }
  throw new Error(`it ended: ${text}`);
}

describe("cli: tungstate serve continues and drains while its stderr is not read", () => {
  for (const unread of Object.keys(UNREAD)) {
    test(`a ${unread}`, async (t) => {
      const { child, url } = await serveUnread(t, unread);
      const ws = url.replace("http", "ws");
      const refuse = async (): Promise<void> => {
        const wire = await Wire.to(t, Number(new URL(url).port));
        wire.send(request({ Origin: "http://elsewhere.example" }, "GET /ws HTTP/1.1"));
        await wire.until((got) => got.includes(" 403 "));
        wire.stream.destroy();
      };
      const log = async (): Promise<void> => (await connect(`${ws}/echo`, { proxy: false })).terminate();
      for (let number = 0; number < REFUSED; number += AT_A_TIME)
        await Promise.all(Array.from({ length: AT_A_TIME }, refuse));
      for (let number = 0; number < LOGGED; number += AT_A_TIME)
        await Promise.all(Array.from({ length: AT_A_TIME }, log));
      assert.equal((await fetch(`${url}/health`)).status, 200);
      const client = await connect(`${ws}/ws`, { proxy: false });
      const ended = once(child, "exit");
      child.kill("SIGTERM");
      assert.equal((await client.closed).code, 1001);
      assert.deepEqual(await ended, [0, null]);
    });
  }
});
