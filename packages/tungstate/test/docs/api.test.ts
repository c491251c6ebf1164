import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { describe, test } from "node:test";
import { ProtocolConfig, Runtime } from "@tungstate/protocol";
import { client } from "../../src/client/client.ts";
import { clientTls, connect } from "../../src/client/connect.ts";
import { compressionSettings } from "../../src/deflate/settings.ts";
import { dial } from "../../src/dial/dial.ts";
import { connectionSettings } from "../../src/connection/options.ts";
import { WebSocketServer } from "../../src/server/server.ts";
import { memoryPipe } from "../../src/testing/memory-pipe.ts";
import { secure } from "../../src/tls/secure.ts";
import { workerSettings } from "../../src/workers/options.ts";
import { apiPages, namesOf, type Part } from "./support/api-pages.ts";
import { checkTypes, describePage, readPage, root, tableRows } from "./support/pages.ts";

const PAGES = apiPages();
const PARTS = PAGES.flatMap(({ parts }) => parts);

for (const { path } of PAGES) describePage(path, { ports: [8080] });

/** Imports an entry, and returns the file with its exports. */
const ENTRIES = {
  tungstate: "packages/tungstate/src/index.ts",
  "tungstate/express": "packages/tungstate/src/frameworks/express.ts",
  "tungstate/crossws": "packages/tungstate/src/frameworks/crossws.ts",
  "tungstate/hono": "packages/tungstate/src/frameworks/hono.ts",
  "tungstate/fastify": "packages/tungstate/src/frameworks/fastify.ts",
  "tungstate/browser": "packages/tungstate/src/browser/index.ts",
  "tungstate/workers": "packages/tungstate/src/workers/index.ts",
  "tungstate/web": "packages/tungstate/src/web/index.ts",
  "tungstate/testing": "packages/tungstate/src/testing/index.ts",
  "@tungstate/protocol": "packages/protocol/src/index.ts",
  "@tungstate/hub": "packages/hub/src/index.ts",
  "@tungstate/hub/redis": "packages/hub/src/redis/index.ts",
};
type Entry = keyof typeof ENTRIES;

/** Exports with type arguments. */
const GENERIC: Readonly<Record<string, string>> = { Counts: "Counts<string>" };

function exportedNames(entry: Entry): string[] {
  const text = readPage(ENTRIES[entry]).replace(/\/\*.*?\*\//gs, "");
  const lists = [...text.matchAll(/^export (?:type )?\{([^}]*)\}/gm)].flatMap(([, list = ""]) => list.split(","));
  const declared = [...text.matchAll(/^export (?:async )?(?:const|class|function|interface|type) (\w+)/gm)];
  return [...lists.map((each) => each.trim().replace(/^type /, "")), ...declared.map(([, name = ""]) => name)].filter(
    (name) => name !== "",
  );
}

describe("docs/api", () => {
  test("documents no entry that does not exist", () => {
    const documented = new Set(PAGES.flatMap((page) => page.exports.map(({ entry }) => entry)));
    assert.deepEqual([...documented].sort(), Object.keys(ENTRIES).sort());
  });

  for (const entry of Object.keys(ENTRIES) as Entry[]) {
    test(`documents every export of ${entry} once, and nothing else`, () => {
      const exported = exportedNames(entry).sort();
      const documented = PAGES.flatMap((page) => page.exports)
        .filter((each) => each.entry === entry)
        .map(({ name }) => name)
        .sort();
      assert.ok(exported.length > 0);
      assert.deepEqual(documented, [...new Set(exported)]);
    });
  }

  test("documents every option and every member, and no other", async () => {
    const withMembers = PARTS.filter(({ members }) => members.length > 0);
    const modules = [...new Set(withMembers.map(({ entry }) => entry))];
    const typeOf = (entry: string, name: string): string => `Module${modules.indexOf(entry)}.${GENERIC[name] ?? name}`;
    const checks = withMembers.map(({ entry, name, parents, members }) => {
      const listed = members.map((each) => JSON.stringify(each));
      assert.equal(new Set(listed).size, listed.length, `${name}: each member once`);
      const inherited = parents.map((parent) => `keyof ${parent === "Duplex" ? parent : typeOf(entry, parent)}`);
      return `check<Difference<keyof ${typeOf(entry, name)}, ${[...inherited, "never"].join(" | ")}, ${listed.join(" | ")}>>({});`;
    });
    assert.ok(checks.length > 50);
    await checkTypes(`
      import type { Duplex } from "node:stream";
      ${modules.map((entry, index) => `import type * as Module${index} from "${entry}";`).join("\n")}
      interface Difference<Real, Inherited, Listed> {
        notOnThePage?: Exclude<Extract<Real, string>, Inherited | Listed>;
        onlyOnThePage?: Exclude<Listed, Real>;
      }
      function check<T extends { notOnThePage?: never; onlyOnThePage?: never }>(_: T): void {}
      ${checks.join("\n")}`);
  });

  test("an export with a heading is a function, or has a table of members", () => {
    const empty = PARTS.filter(
      ({ members, name, page }) => members.length === 0 && !readPage(page).includes(`\`${name}(`),
    );
    assert.deepEqual(
      empty.map(({ name }) => name),
      [],
    );
  });

  test("describes every export, option and member", () => {
    for (const { name, rows } of PARTS) {
      for (const row of rows) assert.ok((row["description"] ?? "") !== "", `${name}: ${namesOf(row).join()}`);
    }
  });

  test("has an index with a link to every page", () => {
    const index = readPage("docs/api/README.md");
    const files = readdirSync(join(root, "docs/api")).filter((file) => file !== "README.md");
    assert.deepEqual(
      files.filter((file) => !index.includes(`](${file})`)),
      [],
    );
  });
});

// ---- numbers: documented ranges and defaults

type Options = Readonly<Record<string, unknown>>;

const aborted = AbortSignal.abort();

function stream(): Duplex {
  const [near, far] = memoryPipe();
  far.on("error", () => undefined); // the other end is closed
  return near;
}

/** Passes options of one kind to the code, which accepts them, throws, or rejects. */
const GIVE: Readonly<Record<string, (options: Options) => unknown>> = {
  ConnectionOptions: (options) => new WebSocketServer(options),
  Heartbeat: (heartbeat) => new WebSocketServer({ heartbeat }),
  MinDataRate: (minDataRate) => new WebSocketServer({ minDataRate }),
  CompressionOptions: (compression) => new WebSocketServer({ compression }),
  HeadLimits: (handshakeLimits) => new WebSocketServer({ handshakeLimits }),
  AdmissionOptions: (options) => new WebSocketServer(options),
  WebSocketServerOptions: (options) => new WebSocketServer(options),
  WorkerConnectionOptions: workerSettings,
  ClientOptions: (options) => client("ws://127.0.0.1", stream(), { ...options, signal: aborted }),
  ClientTlsOptions: (options) => clientTls("wss://127.0.0.1", stream(), { ...options, signal: aborted }),
  ConnectOptions: (options) => connect("ws://127.0.0.1", { ...options, signal: aborted }),
  DialOptions: (options) => dial({ host: "127.0.0.1", port: 80 }, { ...options, signal: aborted }),
  SecureOptions: (options) => secure(stream(), { host: "127.0.0.1", ...options, signal: aborted }),
  ProtocolLimits: (limits) =>
    new ProtocolConfig(new Runtime(), { ...connectionSettings("server", {}).protocol, ...limits }),
};

async function refuses(kind: string, options: Options): Promise<boolean> {
  const give = GIVE[kind];
  assert.ok(give !== undefined, `the test knows what to do with ${kind}`);
  try {
    await give(options);
  } catch (error) {
    assert.ok(error instanceof Error && "code" in error, String(error));
    return error.code === "INVALID_ARGUMENT";
  }
  return false;
}

const RANGE = /^([\d,]+) to ([\d,]+|Infinity)(, Infinity)?$/;
const numberOf = (text: string): number => Number(text.replaceAll(",", ""));

for (const { name: kind, rows, page } of PARTS) {
  for (const row of rows) {
    const [, least, most, orInfinity] = RANGE.exec(row["range"] ?? "") ?? [];
    const [name = ""] = namesOf(row);
    if (least === undefined || most === undefined || !(kind in GIVE)) continue;
    test(`${page}: ${kind}.${name} is a number from ${least} to ${most}`, async () => {
      const [low, high] = [numberOf(least), numberOf(most)];
      const good = [low, low + 1, high, ...(orInfinity === undefined ? [] : [Infinity])];
      const bad = [low - 1, high + 1, low + 0.5, NaN, -Infinity, String(low)];
      for (const value of good) assert.equal(await refuses(kind, { [name]: value }), false, String(value));
      for (const value of bad.filter(
        (each) => !good.includes(each as number) && each !== Number.MAX_SAFE_INTEGER + 1,
      )) {
        assert.equal(await refuses(kind, { [name]: value }), true, String(value));
      }
    });
  }
}

/** `64 KiB`, `10,000`, `true`: a default as documented; undefined if it is described in words. */
function plainDefault(text: string): unknown {
  const [, number, unit] = /^([\d,]+)(?: ([KM])iB)?$/.exec(text) ?? [];
  if (number !== undefined) return numberOf(number) * (unit === "K" ? 1024 : unit === "M" ? 1024 ** 2 : 1);
  return text === "true" ? true : text === "false" ? false : undefined;
}

describe("docs/api: defaults", () => {
  const part = (name: string): Part["rows"] =>
    PARTS.find((each) => each.name === name && each.entry !== "tungstate/browser")?.rows ?? [];

  test("of a connection", () => {
    const own = connectionSettings("server", {});
    const settings: Options = { ...own.protocol, ...own };
    const heartbeat: Options = { ...connectionSettings("server", {}).heartbeat };
    const progress: Options = { ...connectionSettings("server", {}).minDataRate };
    for (const [rows, actual] of [
      [part("ConnectionOptions"), settings],
      [part("Heartbeat"), heartbeat],
      [part("MinDataRate"), progress],
    ] as const) {
      for (const row of rows) {
        const [name = ""] = namesOf(row);
        const said = plainDefault(row["default"] ?? "");
        if (said !== undefined) assert.equal(actual[name], said, name);
      }
    }
  });

  test("of compression", () => {
    for (const row of part("CompressionOptions")) {
      const [name = ""] = namesOf(row);
      const [plain = "", withTakeover = plain] = (row["default"] ?? "").split("; ");
      const actual = (contextTakeover: boolean): unknown =>
        ({ ...compressionSettings({ contextTakeover }) })[name as "level"];
      assert.equal(actual(false), plainDefault(plain), name);
      if (name !== "contextTakeover")
        assert.equal(actual(true), plainDefault(withTakeover.split(" with ")[0] ?? ""), name);
    }
  });

  test("equal those in docs/limits.md", () => {
    const all = PARTS.filter(({ entry }) => entry === "tungstate").flatMap(({ rows }) => rows);
    const rows = tableRows(readPage("docs/limits.md"));
    assert.ok(rows.length > 10);
    for (const row of rows) {
      const [name = ""] = namesOf(row);
      const same = all.filter((each) => namesOf(each).includes(name) && "default" in each);
      assert.ok(same.length > 0, `${name} is an option`);
      const said = row["default"] ?? "";
      if (plainDefault(said) === undefined && said !== "Infinity") continue;
      for (const each of same) assert.equal(each["default"], said, name);
    }
  });
});
