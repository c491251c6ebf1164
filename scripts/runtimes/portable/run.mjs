// Runs the tests of the protocol in workerd, in a page of Chromium and in a web worker of it.
import { once } from "node:events";
import { createServer, get } from "node:http";
import { binaryOf } from "../binaries.mjs";
import { startWorkerd } from "../workerd.mjs";
import { bundleTests } from "./bundle.mjs";

/** The runtimes that have no Node.js modules. */
export const PORTABLE_RUNTIMES = ["workerd", "chromium", "webworker"];

const MAIN = `import { run } from "tests.js";
export default { fetch: async () => Response.json(await run()) };
`;

async function runWorkerd(script) {
  const { port, stop } = await startWorkerd(binaryOf("workerd"), { "main.js": MAIN, "tests.js": script });
  try {
    return await fetchJson(`http://127.0.0.1:${port}/`);
  } finally {
    await stop();
  }
}

/** Waits for a response without a limit: fetch() fails after 5 minutes. */
async function fetchJson(url) {
  const [response] = await once(get(url), "response");
  let text = "";
  for await (const chunk of response) text += chunk;
  return JSON.parse(text);
}

const IN_PAGE = `import { run } from "/tests.js";
fetch("/results", { method: "POST", body: JSON.stringify(await run()) });
`;
const IN_WORKER = `new Worker("/page.js", { type: "module" });`;

/** Loads the module with which the tests of `tungstate/browser` start browsers. */
async function browsers() {
  await import("../../testing/typescript.mjs");
  return await import(new URL("../../../packages/tungstate/test/browser/support/programs.ts", import.meta.url).href);
}

/** The path of a runtime: Chromium is that of the system. */
export async function portableBinary(runtime) {
  if (runtime === "workerd") return binaryOf(runtime);
  const { BROWSERS, pathOf } = await browsers();
  return pathOf(BROWSERS.Chromium);
}

async function runPage(script, inWorker) {
  const { BROWSERS, openPage } = await browsers();
  let done;
  const results = new Promise((resolve) => (done = resolve));
  const files = {
    "/tests.js": ["text/javascript", script],
    "/page.js": ["text/javascript", IN_PAGE],
    "/worker.js": ["text/javascript", IN_WORKER],
    "/": ["text/html", `<!doctype html><script type="module" src="/${inWorker ? "worker" : "page"}.js"></script>`],
  };
  const server = createServer((request, response) => {
    if (request.method === "POST") {
      let text = "";
      request.setEncoding("utf8").on("data", (chunk) => (text += chunk));
      request.on("end", () => {
        response.end();
        done(JSON.parse(text));
      });
      return;
    }
    const [type, body] = files[request.url] ?? ["text/plain", ""];
    response.setHeader("content-type", `${type}; charset=utf-8`);
    response.end(body);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const page = openPage(BROWSERS.Chromium, `http://127.0.0.1:${server.address().port}/`);
  try {
    return await results;
  } finally {
    await page[Symbol.asyncDispose]();
    server.closeAllConnections();
    server.close();
  }
}

/**
 * Runs the test files that need no modules of Node.js. Returns the results by file, as `runFile` does,
 * and the files that were left out.
 */
export async function runPortable(runtime, files) {
  const { text, left } = await bundleTests(files);
  const results = runtime === "workerd" ? await runWorkerd(text) : await runPage(text, runtime === "webworker");
  const byFile = groupByFile(results);
  return { left, files: [...byFile].map(([file, tests]) => ({ file, tests, output: "" })) };
}

function groupByFile(results) {
  const groups = new Map();
  for (const each of results) groups.set(each.file, [...(groups.get(each.file) ?? []), each]);
  return groups;
}
