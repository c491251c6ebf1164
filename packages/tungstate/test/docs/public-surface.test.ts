import { Hub, MemoryBroker, MemoryEngine, SharedMessage } from "@tungstate/hub";
import {
  DEFAULT_LIMITS,
  PreparedMessage,
  Protocol,
  ProtocolConfig,
  Runtime,
  ServerHandshake,
} from "@tungstate/protocol";
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
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
  const part = PARTS.find((each) => each.name === name && each.entry !== "tungstate/browser");
  assert.ok(part !== undefined, `${name} is on no page`);
  return [...part.members, ...part.parents.flatMap((parent) => documented(parent))];
}

/**
 * Returns the names of all properties of a live object, its own and those of its prototypes.
 * Symbols count if they are not well-known.
 */
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

test("live objects of the protocol and the hub have the members that the API reference names, and no others", () => {
  const runtime = new Runtime();
  const config = new ProtocolConfig(runtime, {
    ...DEFAULT_LIMITS,
    role: "server",
    keys: undefined,
    acceptUnmaskedFrames: false,
    compression: false,
    heartbeat: undefined,
    closeTimeout: 1000,
  });
  const protocol = new Protocol(config, { onMessage: () => undefined });
  const sha1 = (data: Uint8Array): Uint8Array => createHash("sha1").update(data).digest();
  const objects: readonly (readonly [name: string, object: object])[] = [
    ["Protocol", protocol],
    ["ProtocolConfig", config],
    ["Runtime", runtime],
    ["PreparedMessage", new PreparedMessage("text")],
    ["ServerHandshake", new ServerHandshake({ sha1 })],
    ["Hub", new Hub({ namespaces: {} })],
    ["MemoryBroker", new MemoryBroker(new MemoryEngine())],
    ["SharedMessage", new SharedMessage("text")],
  ];
  for (const [name, object] of objects) {
    assert.deepEqual(membersOf(object), [...new Set(documented(name))].sort(), name);
  }
});

interface Entry {
  /** As the docs name it: "tungstate/web". */
  readonly name: string;
  /** Path of its declarations. */
  readonly path: string;
}

/** The public entries of the packages whose declarations the compiler emits. */
const ENTRIES: readonly Entry[] = ["protocol", "tungstate", "hub"].flatMap((folder) => {
  const content = readFileSync(join(root, "packages", folder, "package.json"), "utf8");
  const { name, exports } = JSON.parse(content) as {
    readonly name: string;
    readonly exports: Readonly<Record<string, string | { readonly types: string }>>;
  };
  return Object.entries(exports).flatMap(([at, targets]) =>
    typeof targets === "string" || at === "./internal"
      ? []
      : [{ name: name + at.slice(1), path: join(root, "packages", folder, targets.types) }],
  );
});

/**
 * Returns the declaration of a class in an emitted file, and those of the classes that it extends,
 * up to another package's.
 */
function declarationsIn(path: string, name: string): string[] {
  const file = readFileSync(path, "utf8");
  const [declaration, parent] =
    new RegExp(`^(?:export )?declare (?:abstract )?class ${name}\\b[^{]*?(?:extends (\\w+)[^{]*)?{[^]*?^}`, "m").exec(
      file,
    ) ?? [];
  if (declaration === undefined) return [];
  if (parent === undefined) return [declaration];
  const from = new RegExp(`^import {[^}]*\\b${parent}\\b[^}]*} from "(\\.[^"]*)";`, "m").exec(file)?.[1];
  const parentPath = from === undefined ? path : join(dirname(path), from.replace(/\.(js|ts)$/, ".d.ts"));
  return [declaration, ...declarationsIn(parentPath, parent)];
}

/** Returns the declarations of the classes that an entry exports, as the compiler emitted them. */
function exportedClasses({ name: entry, path }: Entry): {
  readonly entry: string;
  readonly name: string;
  readonly declaration: string;
}[] {
  const text = readFileSync(path, "utf8");
  return [...text.matchAll(/^export (?:type )?\{([^}]*)\} from "(\.[^"]*)";/gm)].flatMap(
    ([, names = "", from = ""]) => {
      const file = join(dirname(path), from.replace(/\.(js|ts)$/, ".d.ts"));
      return names.split(",").flatMap((each) => {
        const name = each.trim().replace(/^type /, "");
        return declarationsIn(file, name).map((declaration) => ({ entry, name, declaration }));
      });
    },
  );
}

test("the emitted declarations of exported classes have no private or protected members by name", () => {
  const classes = ENTRIES.flatMap(exportedClasses);
  const names = classes.map(({ name }) => name);
  assert.ok(classes.length >= 40, names.join());
  // a class, its base classes, and a type-only export are among them
  assert.equal(names.filter((name) => name === "Protocol").length, 3);
  assert.ok(names.includes("Operations") && names.includes("RedisBroker"), names.join());
  for (const { name, declaration } of classes) {
    assert.deepEqual(declaration.match(/^ +(private|protected) .*$/gm), null, name);
  }
});

/**
 * Members that other files of this repository use, on classes that users get only as a type or from
 * a method. The list must not grow.
 */
const INTERNAL: ReadonlySet<string> = new Set([
  "Output.nextFragment",
  "Output.reserve",
  "Output.wrote",
  "Output.appendLatin1",
  "Output.recycle",
  "Output.appendPrepared",
  "Output.appendShared",
  "Operations.surveys",
  "Operations.broadcastTo",
  "Operations.presencePage",
  "MemoryEngine.streamCount",
  "RedisConnections.deployments",
  "RedisConnections.acquire",
]);

/** Returns the documented members of a parent; none of a class of the platform. */
function inherited(parent: string): string[] {
  return PARTS.some((each) => each.name === parent) ? documented(parent) : [];
}

/** Members of a declaration that are not well-known symbols. */
function membersIn(declaration: string): string[] {
  const members = [...declaration.matchAll(/^ {4}(?:(?:static|readonly|get|set|abstract|override) )*(\w+)[?(<:]/gm)];
  // Node.js calls the methods of a stream that begin with an underscore
  return members.flatMap(([, name = ""]) => (name === "constructor" || name.startsWith("_") ? [] : [name]));
}

test("the emitted declarations of exported classes have only members that the API reference names", () => {
  const text = apiPages()
    .map(({ path }) => readFileSync(join(root, path), "utf8"))
    .join("\n");
  const unnamed: string[] = [];
  const excepted = new Set(INTERNAL);
  let count = 0;
  for (const { entry, name, declaration } of ENTRIES.flatMap(exportedClasses)) {
    const part = PARTS.find((each) => each.name === name && each.entry === entry);
    for (const member of membersIn(declaration)) {
      count++;
      // a class without a heading of its own is described in other text
      const isNamed =
        part === undefined
          ? new RegExp(`\\b${member}\\b`).test(text)
          : [...part.members, ...part.parents.flatMap(inherited)].includes(member);
      if (isNamed || excepted.delete(`${name}.${member}`)) continue;
      unnamed.push(`${entry}: ${name}.${member}`);
    }
  }
  assert.deepEqual(unnamed, []);
  assert.deepEqual([...excepted], [], "these are documented or gone");
  assert.ok(count > 200, String(count));
});
