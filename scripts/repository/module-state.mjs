// Variables and collections at the top level of a file are shared by everything in the process.
// What connections share belongs to their Runtime, so that two runtimes share nothing.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { filesIn, root } from "../workspaces.mjs";

const FOLDERS = ["packages/protocol/src", "packages/tungstate/src", "packages/hub/src", "packages/ws/src"];

/** State that belongs to the process, with the reason. */
export const ALLOWED = new Map([
  ["packages/protocol/src/endpoint/protocol.ts RECEIVED", "functions, assigned once by the class"],
  ["packages/protocol/src/endpoint/protocol.ts INFLATED", "functions, assigned once by the class"],
  ["packages/protocol/src/endpoint/protocol.ts DEFLATED", "functions, assigned once by the class"],
  ["packages/tungstate/src/dial/device.ts loaded", "the C library of the process"],
  ["packages/tungstate/src/frameworks/express.ts withoutUpgrade", "marks on the application's own objects"],
  ["packages/tungstate/src/frameworks/express.ts applications", "marks on the application's own objects"],
  ["packages/tungstate/src/frameworks/upgrades.ts pending", "data of one request of the application's server"],
  ["packages/tungstate/src/http2/session.ts known", "data of one session of node:http2"],
  ["packages/tungstate/src/http2/session.ts count", "numbers of the sessions of node:http2"],
  ["packages/tungstate/src/native/system.ts loaded", "a fact about this version of Node.js"],
  ["packages/tungstate/src/native/young-generation.ts loaded", "a function of V8"],
  ["packages/tungstate/src/native/pooled-zlib.ts usable", "a fact about this version of Node.js"],
  ["packages/tungstate/src/schedule/abort-signal.ts waiting", "listeners of the application's signals"],
  ["packages/tungstate/src/schedule/abort-signal.ts listeners", "listeners of the application's signals"],
  ["packages/tungstate/src/schedule/emitter.ts originals", "the listener that a wrapper was made of"],
  ["packages/tungstate/src/server/door/passed.ts passed", "marks on the application's own sockets"],
  ["packages/tungstate/src/server/http/backend.ts watched", "data of one server of the application"],
  ["packages/tungstate/src/server/http/handover.ts waiting", "data of one socket"],
  ["packages/tungstate/src/server/http/router.ts routesOf", "data of one server of the application"],
  ["packages/tungstate/src/tls/contexts.ts contexts", "parsed certificates, immutable, by their content"],
  ["packages/tungstate/src/tls/identity.ts numbers", "numbers of the application's objects"],
  ["packages/tungstate/src/tls/identity.ts last", "numbers of the application's objects"],
  ["packages/hub/src/memory/owned.ts scratch", "written and read within one call"],
  ["packages/hub/src/protocol/encode.ts presenceEntries", "the text of one immutable object"],
  ["packages/hub/src/redis/link.ts client", "the module that was loaded"],
  ["packages/ws/src/deflate/engines.ts engines", "engines of the one runtime of this package, by their options"],
  ["packages/ws/src/frames/message-reader.ts kept", "what one immutable object of options became"],
  ["packages/ws/src/frames/message-reader.ts lastOptions", "immutable options, to compare the next ones with"],
  ["packages/ws/src/runtime.ts flushesAtExit", "whether the process has the listener"],
]);

const DECLARATION =
  /^(?:export )?(?:let (\w+)(?:: (?<type>[^=;]+))?|const (\w+) = new (?:Map|Set|WeakMap|WeakSet)\b|const (\w+)(?:: [^=]+)? = \[\];)/gm;

/** Returns the names of the variables and changeable collections at the top level of a file. */
export function moduleState(text) {
  const names = [];
  for (const { 1: variable, 3: collection, 4: list, groups } of text.matchAll(DECLARATION)) {
    // functions by which the files of a package reach private fields are assigned once, by the
    // class
    if (/^(?:<\w+>)?\(/.test(groups.type ?? "")) continue;
    const constant = collection ?? list;
    // a name in capitals is that of a table, which nothing changes
    if (variable === undefined && /^[A-Z][A-Z0-9_]*$/.test(constant)) continue;
    names.push(variable ?? constant);
  }
  return names;
}

/**
 * Returns a line for each top-level state that is not allowed, and for each allowance without
 * state.
 */
export function checkModuleState(folders = FOLDERS, allowed = ALLOWED) {
  const found = new Set();
  for (const folder of folders) {
    for (const path of filesIn(folder)) {
      for (const name of moduleState(readFileSync(join(root, path), "utf8"))) found.add(`${path} ${name}`);
    }
  }
  return [
    ...[...found]
      .filter((each) => !allowed.has(each))
      .map(
        (each) =>
          `${each} is shared by the whole process: put it into the Runtime, or into module-state.mjs with a reason`,
      ),
    ...[...allowed.keys()]
      .filter((each) => !found.has(each))
      .map((each) => `module-state.mjs allows ${each}, which does not exist`),
  ];
}
