import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { MisbehavingServer } from "./support/misbehaving-server.ts";
import { BROWSERS, openPage } from "./support/programs.ts";
import { EXPECTED } from "./support/scenario.ts";

async function bundle(entry: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL(entry, import.meta.url))],
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    platform: "browser",
    write: false,
    logLevel: "error",
  });
  return outputFiles[0]?.text ?? "";
}

for (const [name, program] of Object.entries(BROWSERS)) {
  test(`the script of all platforms in ${name}`, { timeout: 120_000 }, async () => {
    const script = await bundle("support/page.ts");
    let done!: (log: unknown) => void;
    const log = new Promise((resolve) => (done = resolve));
    await using server = await MisbehavingServer.start((request, response) => {
      if (request.method === "POST") {
        const parts: Buffer[] = [];
        request.on("data", (part: Buffer) => parts.push(part));
        request.on("end", () => {
          response.end();
          done(JSON.parse(Buffer.concat(parts).toString()));
        });
        return;
      }
      const isScript = request.url === "/page.js";
      response.setHeader("content-type", isScript ? "text/javascript" : "text/html; charset=utf-8");
      response.end(
        isScript ? script : '<!doctype html><title>test</title><script type="module" src="/page.js"></script>',
      );
    });
    await using _page = openPage(program, `http://127.0.0.1:${server.port}/`);
    assert.deepEqual(await log, EXPECTED);
  });
}

test("the entry has at most 8.5 KB gzipped, and contains nothing of Node.js", async () => {
  const text = await bundle("../../src/browser/reconnecting.ts");
  assert.ok(gzipSync(text, { level: 9 }).length <= 8.5 * 1024, `${gzipSync(text).length} bytes`);
  assert.ok(!/"node:|\bBuffer\.|require\(/.test(text), text.slice(0, 300));
});

test("tungstate/browser and tungstate/workers compile without the types of Node.js", () => {
  const tsc = fileURLToPath(new URL("../../../../node_modules/.bin/tsc", import.meta.url));
  const project = fileURLToPath(new URL("tsconfig.json", import.meta.url));
  const { status, stdout, stderr } = spawnSync(tsc, ["-p", project], { encoding: "utf8", timeout: 120_000 });
  assert.equal(status, 0, stdout + stderr);
});
