import assert from "node:assert/strict";
import type { Duplex } from "node:stream";
import { describe, test } from "node:test";
import { Protocol, type ProtocolSink } from "@tungstate/protocol";
import { client } from "../../src/client.ts";
import { clientTls, connect } from "../../src/connect.ts";
import { compressionSettings } from "../../src/deflate/settings.ts";
import { dial } from "../../src/dial/dial.ts";
import { connectionSettings } from "../../src/options.ts";
import { WebSocketServer } from "../../src/server/server.ts";
import { memoryPipe } from "../../src/testing/memory-pipe.ts";
import { secure } from "../../src/tls/secure.ts";
import { checkTypes, describePage, readPage, sectionOf, tableRows } from "./support/pages.ts";

const PAGE = "docs/api.md";

describePage(PAGE, { ports: [8080] });

/** What is imported, and the file that says what it exports. */
const ENTRIES = {
  tungstate: "packages/tungstate/src/index.ts",
  "tungstate/express": "packages/tungstate/src/frameworks/express.ts",
  "tungstate/hono": "packages/tungstate/src/frameworks/hono.ts",
  "tungstate/fastify": "packages/tungstate/src/frameworks/fastify.ts",
  "tungstate/testing": "packages/tungstate/src/testing/index.ts",
  "@tungstate/protocol": "packages/protocol/src/index.ts",
};
type Entry = keyof typeof ENTRIES;

/** Public in TypeScript, and for no use but the package's own. */
const INTERNAL: Readonly<Record<string, readonly string[]>> = {
  WebSocketServer: ["onConnectionClosed", "onHandlerError"],
};

/** A part of the page about one interface or class. */
interface Part {
  readonly name: string;
  /** Those whose members it has besides those in its table. */
  readonly parents: readonly string[];
  readonly rows: readonly Readonly<Record<string, string>>[];
}

function exportedNames(entry: Entry): string[] {
  const text = readPage(ENTRIES[entry]).replace(/\/\*.*?\*\//gs, "");
  const lists = [...text.matchAll(/^export (?:type )?\{([^}]*)\}/gm)].flatMap(([, list = ""]) => list.split(","));
  const declared = [...text.matchAll(/^export (?:async )?(?:const|class|function|interface|type) (\w+)/gm)];
  return [...lists.map((each) => each.trim().replace(/^type /, "")), ...declared.map(([, name = ""]) => name)].filter(
    (name) => name !== "",
  );
}

/** The names in code at the beginning of a table's row: of `a`, `b(c)` both. */
function namesOf(row: Readonly<Record<string, string>>): string[] {
  return [...(Object.values(row)[0] ?? "").matchAll(/`(\w+)[^`]*`/g)].map(([, name = ""]) => name);
}

function partsOf(entry: Entry): Part[] {
  return [...sectionOf(PAGE, `## ${entry}`).matchAll(/^### `(\w+)`\n(.*?)(?=^### |$(?![^]))/gms)].map(
    ([, name = "", text = ""]) => {
      const [inherited = ""] = /^All of .*$/m.exec(text) ?? [];
      return {
        name,
        parents: [...inherited.matchAll(/`(\w+)`/g)].map(([, parent = ""]) => parent),
        rows: tableRows(text),
      };
    },
  );
}

/** All names that a part of the page explains, as exports: those in headings, and those in tables that are about no other name. */
function explainedNames(entry: Entry): string[] {
  const text = sectionOf(PAGE, `## ${entry}`).replace(/^### `\w+`\n.*?(?=^### |$(?![^]))/gms, "");
  return [...partsOf(entry).map(({ name }) => name), ...tableRows(text).flatMap(namesOf)];
}

describe(PAGE, () => {
  const ofProtocol = new Set(exportedNames("@tungstate/protocol"));
  for (const entry of Object.keys(ENTRIES) as Entry[]) {
    test(`explains every export of ${entry}, and nothing else`, () => {
      const exported = new Set(exportedNames(entry));
      const explained = explainedNames(entry);
      assert.ok(exported.size > 0);
      assert.deepEqual(
        [...exported].filter((name) => !explained.includes(name)),
        [],
        "exported, and not on the page",
      );
      const unknown = explained.filter((name) => !exported.has(name) && !ofProtocol.has(name));
      assert.deepEqual(unknown, [], "on the page, and not exported");
      assert.deepEqual(
        explained.filter((name, at) => explained.indexOf(name) !== at),
        [],
        "explained twice",
      );
    });
  }

  test("has every option and every member, and no other", async () => {
    const exported = new Set(exportedNames("tungstate"));
    const typeOf = (name: string): string => `${exported.has(name) ? "tungstate" : "protocol"}.${name}`;
    const checks = (["tungstate", "@tungstate/protocol"] as const).flatMap(partsOf).map(({ name, parents, rows }) => {
      const listed = [...rows.flatMap(namesOf), ...(INTERNAL[name] ?? [])].map((each) => JSON.stringify(each));
      assert.ok(listed.length > 0, `${name} has a table`);
      const inherited = parents.map((parent) => `keyof ${typeOf(parent)}`);
      return `check<Difference<keyof ${typeOf(name)}, ${[...inherited, "never"].join(" | ")}, ${listed.join(" | ")}>>({});`;
    });
    assert.ok(checks.length > 20);
    await checkTypes(`
      import type * as tungstate from "tungstate";
      import type * as protocol from "@tungstate/protocol";
      interface Difference<Real, Inherited, Listed> {
        notOnThePage?: Exclude<Extract<Real, string>, Inherited | Listed>;
        onlyOnThePage?: Exclude<Listed, Real>;
      }
      function check<T extends { notOnThePage?: never; onlyOnThePage?: never }>(_: T): void {}
      ${checks.join("\n")}`);
  });
});

// ---- numbers: what the page says they may be, and what they are if nothing is said

type Options = Readonly<Record<string, unknown>>;

const aborted = AbortSignal.abort();

function stream(): Duplex {
  const [near, far] = memoryPipe();
  far.on("error", () => undefined); // the other end is dropped
  return near;
}

/** Gives options of one kind to the code; it takes them, throws, or rejects. */
const GIVE: Readonly<Record<string, (options: Options) => unknown>> = {
  ConnectionOptions: (options) => new WebSocketServer(options),
  Heartbeat: (heartbeat) => new WebSocketServer({ heartbeat }),
  MinProgress: (minProgress) => new WebSocketServer({ minProgress }),
  CompressionOptions: (compression) => new WebSocketServer({ compression }),
  HeadLimits: (handshakeLimits) => new WebSocketServer({ handshakeLimits }),
  AdmissionOptions: (options) => new WebSocketServer(options),
  WebSocketServerOptions: (options) => new WebSocketServer(options),
  ClientOptions: (options) => client("ws://127.0.0.1", stream(), { ...options, signal: aborted }),
  ClientTlsOptions: (options) => clientTls("wss://127.0.0.1", stream(), { ...options, signal: aborted }),
  ConnectOptions: (options) => connect("ws://127.0.0.1", { ...options, signal: aborted }),
  DialOptions: (options) => dial({ host: "127.0.0.1", port: 80 }, { ...options, signal: aborted }),
  SecureOptions: (options) => secure(stream(), { host: "127.0.0.1", ...options, signal: aborted }),
  ProtocolLimits: (limits) => new Protocol({ ...connectionSettings("server", {}), ...limits }, {} as ProtocolSink),
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

for (const { name: kind, rows } of partsOf("tungstate").concat(partsOf("@tungstate/protocol"))) {
  for (const row of rows) {
    const [, least, most, orInfinity] = RANGE.exec(row["range"] ?? "") ?? [];
    const [name = ""] = namesOf(row);
    if (least === undefined || most === undefined || !(kind in GIVE)) continue;
    test(`${PAGE}: ${kind}.${name} is a number from ${least} to ${most}`, async () => {
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

/** `64 KiB`, `10,000`, `true`: a default as the page has it; undefined where it is said in other words. */
function plainDefault(text: string): unknown {
  const [, number, unit] = /^([\d,]+)(?: ([KM])iB)?$/.exec(text) ?? [];
  if (number !== undefined) return numberOf(number) * (unit === "K" ? 1024 : unit === "M" ? 1024 ** 2 : 1);
  return text === "true" ? true : text === "false" ? false : undefined;
}

describe(`${PAGE}: defaults`, () => {
  const part = (name: string): Part["rows"] => partsOf("tungstate").find((each) => each.name === name)?.rows ?? [];

  test("of a connection", () => {
    const settings: Options = { ...connectionSettings("server", {}), compression: false };
    const heartbeat: Options = { ...connectionSettings("server", {}).heartbeat };
    const progress: Options = { ...connectionSettings("server", {}).minProgress };
    for (const [rows, actual] of [
      [part("ConnectionOptions"), settings],
      [part("Heartbeat"), heartbeat],
      [part("MinProgress"), progress],
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

  test("in README.md are the same", () => {
    const all = partsOf("tungstate").flatMap(({ rows }) => rows);
    const rows = tableRows(sectionOf("README.md", "## Limits"));
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
