// Runs one test file of the Web Platform Tests in this process, and sends its results to the parent.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { runInThisContext } from "node:vm";
import { CloseEvent, MessageEvent, WebSocket, WebSocketError, WebSocketStream } from "tungstate/web";

/** The test to run. */
export interface Job {
  readonly folder: string;
  /** Path in the folder. */
  readonly file: string;
  /** Such as "?wss"; "" for none. */
  readonly variant: string;
  /** Ports of ws: and wss:. */
  readonly ports: readonly [number, number];
}

/** A message to the parent. `status` 0: passed. */
export type Report =
  | { readonly type: "result"; readonly name: string; readonly status: number; readonly message: string | null }
  | { readonly type: "done" };

interface Harness {
  add_result_callback(
    callback: (result: { readonly name: string; readonly status: number; readonly message: string | null }) => void,
  ): void;
  add_completion_callback(callback: () => void): void;
}

const job = JSON.parse(process.argv[2] ?? "{}") as Job;
const { folder, file, variant, ports } = job;
const here = new URL(`http://localhost:${ports[0]}/${file}${variant}`);
const report = (message: Report): void => void process.send?.(message);

/** Reads a script; what wptserve replaces in `.sub.js` files is replaced. */
function script(path: string): string {
  const text = readFileSync(join(folder, path), "utf8");
  return text
    .replaceAll("{{host}}", "localhost")
    .replaceAll("{{ports[ws][0]}}", String(ports[0]))
    .replaceAll("{{ports[wss][0]}}", String(ports[1]))
    .replaceAll("{{ports[h2][0]}}", String(ports[1]));
}

function run(path: string): void {
  runInThisContext(script(path), { filename: path });
}

const platform = { WebSocket, WebSocketStream, WebSocketError, CloseEvent, MessageEvent };
for (const [name, value] of Object.entries(platform)) {
  Object.defineProperty(globalThis, name, { value, writable: true, enumerable: false, configurable: true });
}
const platformFetch = fetch;
Object.assign(globalThis, {
  self: globalThis,
  location: here,
  GLOBAL: { isWindow: () => false, isWorker: () => false, isShadowRealm: () => false },
  fetch: (url: string, options?: RequestInit) => platformFetch(new URL(url, here), options),
});

run("resources/testharness.js");
const harness = globalThis as unknown as Harness;
harness.add_result_callback(({ name, status, message }) => report({ type: "result", name, status, message }));
harness.add_completion_callback(() => report({ type: "done" }));
for (const [, path = ""] of readFileSync(join(folder, file), "utf8").matchAll(/^\/\/ META: script=(.*)$/gm)) {
  run(path.startsWith("/") ? path.slice(1) : join(dirname(file), path));
}
run(file);
