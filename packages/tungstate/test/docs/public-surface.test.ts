import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { MemoryBudget } from "../../src/connection/memory-budget.ts";
import type { WebSocketConnection } from "../../src/connection/types.ts";
import { connect } from "../../src/client/connect.ts";
import { Routes } from "../../src/dial/routes.ts";
import { reconnecting } from "../../src/reconnecting/reconnecting.ts";
import type { HandshakeRequest } from "../../src/server/admission/request.ts";
import { WebSocketServer } from "../../src/server/server.ts";
import { VirtualClock } from "../../src/testing/virtual-clock.ts";
import { TlsSessionCache } from "../../src/tls/session-cache.ts";
import { apiPages } from "./support/api-pages.ts";
import { root } from "./support/pages.ts";

const PARTS = apiPages().flatMap(({ parts }) => parts);

/** Returns the members that the API reference names, with those of the types that it refers to. */
function documented(name: string): string[] {
  const part = PARTS.find((each) => each.name === name);
  assert.ok(part !== undefined, `${name} is on no page`);
  return [...part.members, ...part.parents.flatMap((parent) => documented(parent))];
}

/** Returns the names of all properties of a live object, its own and those of its prototypes. Symbols count if they are not well-known. */
function membersOf(object: object): string[] {
  const names = new Set<string>();
  for (let each = object; each !== Object.prototype && each !== null; each = Object.getPrototypeOf(each) as object) {
    for (const key of Reflect.ownKeys(each)) {
      if (typeof key === "string") names.add(key);
      else if (!WELL_KNOWN.has(key)) names.add(String(key));
    }
  }
  names.delete("constructor");
  return [...names].sort();
}

const WELL_KNOWN: ReadonlySet<symbol> = new Set([Symbol.asyncIterator, Symbol.asyncDispose, Symbol.iterator]);

test("live objects have the members that the API reference names, and no others", async (t) => {
  const server = new WebSocketServer();
  const accepted = new Promise<[WebSocketConnection, HandshakeRequest]>((resolve) =>
    server.once("connection", (...args) => resolve(args)),
  );
  const { port } = (await server.listen({ port: 0, host: "127.0.0.1" })) as { port: number };
  const url = `ws://127.0.0.1:${port}/`;
  const client = await connect(url, { proxy: false });
  const again = reconnecting(url, { proxy: false });
  t.after(async () => {
    client.terminate();
    again.terminate();
    await server.close();
  });
  const [connection, request] = await accepted;
  await again.ready();
  const budget = new MemoryBudget(1024);
  const objects: readonly (readonly [name: string, object: object])[] = [
    ["WebSocketConnection", client],
    ["WebSocketConnection", connection],
    ["ReconnectingConnection", again],
    ["WebSocketServer", server],
    ["HandshakeRequest", request],
    ["MemoryBudget", budget],
    ["MemoryUse", budget.use],
    ["MemoryPart", budget.part("cache")],
    ["TlsSessionCache", new TlsSessionCache()],
    ["Routes", new Routes({})],
    ["VirtualClock", new VirtualClock()],
    ["ServerStats", server.stats],
    ["ConnectionStats", client.stats],
  ];
  for (const [name, object] of objects) {
    assert.deepEqual(membersOf(object), [...new Set(documented(name))].sort(), name);
  }
});

const DIST = join(root, "packages/tungstate/dist");
const ENTRIES = ["index", "testing/index", "frameworks/express", "frameworks/fastify", "frameworks/hono"];

/** Returns the declarations of the classes that an entry exports, as the compiler emitted them. */
function exportedClasses(entry: string): { readonly name: string; readonly declaration: string }[] {
  const text = readFileSync(join(DIST, `${entry}.d.ts`), "utf8");
  return [...text.matchAll(/^export \{([^}]*)\} from "(\.[^"]*)";/gm)].flatMap(([, names = "", from = ""]) => {
    const file = readFileSync(join(DIST, dirname(entry), from.replace(/\.(js|ts)$/, ".d.ts")), "utf8");
    return names.split(",").flatMap((each) => {
      const name = each.trim().replace(/^type /, "");
      const [declaration] = new RegExp(`^export declare (abstract )?class ${name}\\b[^]*?^}`, "m").exec(file) ?? [];
      return declaration === undefined ? [] : [{ name, declaration }];
    });
  });
}

test("the emitted declarations of exported classes have no private or protected members by name", () => {
  const classes = ENTRIES.flatMap(exportedClasses);
  assert.ok(classes.length >= 8, classes.map(({ name }) => name).join());
  for (const { name, declaration } of classes) {
    assert.deepEqual(declaration.match(/^ +(private|protected) .*$/gm), null, name);
  }
});
