// The same scripts in Chromium and on the classes of tungstate/web: their logs must be the same.
import assert from "node:assert/strict";
import type { IncomingMessage, ServerResponse } from "node:http";
import { before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { CloseEvent, MessageEvent, WebSocket, WebSocketError, WebSocketStream } from "../../src/web/index.ts";
import { BROWSERS, openPage } from "../browser/support/programs.ts";
import type { Logs } from "./support/page.ts";
import type { Platform } from "./support/platform.ts";
import { ScenarioServer } from "./support/scenario-server.ts";
import { socketScenario } from "./support/socket-scenario.ts";
import { streamScenario } from "./support/stream-scenario.ts";

const OURS = { WebSocket, WebSocketStream, WebSocketError, CloseEvent, MessageEvent } as unknown as Platform;
/** The logs of Chromium. */
let chromium: Logs;

before(
  async () => {
    const { outputFiles } = await build({
      entryPoints: [fileURLToPath(new URL("support/page.ts", import.meta.url))],
      bundle: true,
      format: "esm",
      target: "es2023",
      platform: "browser",
      write: false,
      logLevel: "error",
    });
    const script = outputFiles[0]?.text ?? "";
    let done!: (logs: Logs) => void;
    const logs = new Promise<Logs>((resolve) => (done = resolve));
    const page = (request: IncomingMessage, response: ServerResponse): void => {
      if (request.method === "POST") {
        const parts: Buffer[] = [];
        request.on("data", (part: Buffer) => parts.push(part));
        request.on("end", () => {
          response.end();
          done(JSON.parse(Buffer.concat(parts).toString()) as Logs);
        });
        return;
      }
      // SharedArrayBuffer needs isolation
      response.setHeader("cross-origin-opener-policy", "same-origin");
      response.setHeader("cross-origin-embedder-policy", "require-corp");
      const isScript = request.url === "/page.js";
      response.setHeader("content-type", isScript ? "text/javascript" : "text/html; charset=utf-8");
      response.end(isScript ? script : '<!doctype html><script type="module" src="/page.js"></script>');
    };
    await using server = await ScenarioServer.start(page);
    const { Chromium } = BROWSERS;
    assert.ok(Chromium !== undefined);
    await using _browser = openPage(Chromium, server.base.replace("ws", "http"));
    chromium = await logs;
  },
  { timeout: 60_000 },
);

test("WebSocket: the log of the script is that of Chromium", { timeout: 60_000 }, async () => {
  await using server = await ScenarioServer.start();
  const log: string[] = [];
  await socketScenario(OURS, server.base, log);
  assert.equal(chromium.failed, undefined);
  assert.deepEqual(log, chromium.socket);
});

test("WebSocketStream: the log of the script is that of Chromium", { timeout: 60_000 }, async () => {
  await using server = await ScenarioServer.start();
  const log: string[] = [];
  await streamScenario(OURS, server.base, log);
  assert.equal(chromium.failed, undefined);
  assert.deepEqual(log, chromium.stream);
});
