// The layers of each package, held by a check: an import points down, never up and never around.
import { readFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { filesIn, root } from "../workspaces.mjs";

/**
 * The folders (and single files) of a package's `src`, the lowest first. A file may import from its
 * own folder and from lower ones. `index.ts` and other entry files come last.
 */
export const LAYERS = {
  "packages/protocol/src": [
    "errors.ts",
    "arguments.ts",
    "bytes",
    "runtime",
    "frames",
    "messages",
    "handshake",
    "deflate",
    "endpoint",
    "internal.ts",
    "index.ts",
  ],
  "packages/tungstate/src": [
    "errors.ts",
    "options",
    "schedule",
    "native",
    "transport",
    "broadcast",
    "deflate",
    "connection",
    "tls",
    "dial",
    "http2",
    "client",
    "server",
    "frameworks",
    "reconnecting",
    "platform",
    "browser",
    "workers",
    "web",
    "testing",
    "internal.ts",
    "index.ts",
  ],
  "packages/ws/src": [
    "constants.ts",
    "data.ts",
    "errors.ts",
    "runtime.ts",
    "handshake",
    "events",
    "deflate",
    "frames",
    "endpoint",
    "client",
    "websocket.ts",
    "stream.ts",
    "server",
    "index.ts",
  ],
  "packages/hub/src": [
    "errors.ts",
    "codes.ts",
    "metrics.ts",
    "schedule",
    "json",
    "options",
    "memory",
    "broker",
    "presence",
    "output",
    "protocol",
    "settings",
    "limits",
    "tokens",
    "redis",
    "channels",
    "nodes",
    "sessions",
    "hub",
    "api",
    "index.ts",
  ],
  "packages/cli/src": [
    "system",
    "tls",
    "settings",
    "connect",
    "logging",
    "metrics",
    "http",
    "server",
    "workers",
    "commands",
    "main.ts",
  ],
  "packages/create-tungstate/src": [
    "errors.ts",
    "names.ts",
    "templates.ts",
    "options.ts",
    "create.ts",
    "questions.ts",
    "run.ts",
    "main.ts",
  ],
};

/** Private interfaces of Node.js, and where they may be used. */
const PRIVATE_API = /\bprocess\.binding\b|\b_handle\b|\b_writeState\b|internalBinding|\b_events\b/;
const PRIVATE_API_FOLDER = "packages/tungstate/src/native/";

const IMPORT = /^(?:import|export)\s[^;]*?from\s+"(\.[^"]+)"|\bimport\("(\.[^"]+)"\)/gm;

/** The relative imports of a file, type imports included, as paths from the repository's root. */
function importsOf(file, text) {
  return [...text.matchAll(IMPORT)].map(([, from, dynamic]) => posix.join(dirname(file), from ?? dynamic));
}

/** Upward imports, and files in a folder that no layer names. */
export function layerFaults(source, layers, graph) {
  const layerOf = (file) => file.slice(source.length + 1).split("/")[0];
  const faults = [];
  for (const [file, imports] of graph) {
    const from = layers.indexOf(layerOf(file));
    if (from === -1) faults.push(`${file}: ${layerOf(file)} is in no layer of ${source}`);
    for (const target of imports) {
      const to = layers.indexOf(layerOf(target));
      if (from !== -1 && to > from) faults.push(`${file} imports ${target}, which is in a higher layer`);
    }
  }
  return faults;
}

/** The first cycle of each strongly connected group of files, type imports included. */
export function cycles(graph) {
  const found = [];
  const state = new Map(); // 1: on the path, 2: done
  const path = [];
  const visit = (file) => {
    state.set(file, 1);
    path.push(file);
    for (const target of graph.get(file) ?? []) {
      if (state.get(target) === 1) found.push([...path.slice(path.indexOf(target)), target]);
      else if (!state.has(target)) visit(target);
    }
    path.pop();
    state.set(file, 2);
  };
  for (const file of graph.keys()) if (!state.has(file)) visit(file);
  return found;
}

/** The files of a package with their text, and what each imports. */
export function readSource(source) {
  const texts = new Map(
    [...filesIn(source)]
      .filter((name) => name.endsWith(".ts"))
      .map((file) => [file, readFileSync(join(root, file), "utf8")]),
  );
  const graph = new Map([...texts].map(([file, text]) => [file, importsOf(file, text)]));
  return { texts, graph };
}

export function checkImports() {
  const faults = [];
  for (const [source, layers] of Object.entries(LAYERS)) {
    const { texts, graph } = readSource(source);
    faults.push(...layerFaults(source, layers, graph));
    faults.push(...cycles(graph).map((cycle) => `import cycle: ${cycle.join(" -> ")}`));
    for (const [file, text] of texts) {
      if (file.startsWith(PRIVATE_API_FOLDER)) continue;
      const code = text.replaceAll(/\/\*[^]*?\*\/|\/\/.*$/gm, "");
      if (PRIVATE_API.test(code))
        faults.push(`${file} uses a private interface of Node.js outside ${PRIVATE_API_FOLDER}`);
    }
  }
  return faults;
}
