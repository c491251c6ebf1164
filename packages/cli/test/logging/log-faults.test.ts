import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { openSync, closeSync, existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { connect } from "tungstate";

const BIN = join(dirname(createRequire(import.meta.url).resolve("@tungstate/cli/package.json")), "bin", "tungstate.js");
const SERVE = [BIN, "serve", "--port", "0", "--log-level", "debug"];

/** Makes connections whose log lines cannot be written, then drains the server. */
async function serves(child: ReturnType<typeof spawn>, url: string): Promise<void> {
  for (let number = 0; number < 20; number++) {
    const connection = await connect(`${url.replace("http", "ws")}/echo`, { proxy: false });
    await connection.send("hello");
    for await (const message of connection) {
      assert.equal(message.text, "hello");
      break;
    }
    await connection.close();
  }
  assert.equal((await fetch(`${url}/health`)).status, 200);
  child.kill("SIGTERM");
  const [code] = (await once(child, "close")) as [number | null];
  assert.equal(code, 0);
}

async function readyUrl(child: ReturnType<typeof spawn>): Promise<string> {
  let text = "";
  for await (const chunk of child.stdout ?? []) {
    text += String(chunk);
    const [, url] = /^listening on (\S+)\n/.exec(text) ?? [];
    if (url !== undefined) return url;
  }
  throw new Error(`it ended: ${text}`);
}

test("serve continues when the disk of its log is full (ENOSPC)", { skip: !existsSync("/dev/full") }, async (t) => {
  const full = openSync("/dev/full", "w");
  const child = spawn(process.execPath, SERVE, { stdio: ["ignore", "pipe", full] });
  closeSync(full);
  t.after(() => child.kill("SIGKILL"));
  await serves(child, await readyUrl(child));
});

test("serve continues when stdout and stderr are closed (EPIPE)", async (t) => {
  const child = spawn(process.execPath, SERVE, { stdio: ["ignore", "pipe", "pipe"] });
  t.after(() => child.kill("SIGKILL"));
  child.stderr.resume();
  const url = await readyUrl(child);
  child.stderr.destroy();
  child.stdout.destroy();
  await serves(child, url);
});
