import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { type Environment, type Flags, readSettings } from "../../src/settings/read-settings.ts";
import { Hub, RATES } from "@tungstate/hub";
import { HUB_OPTION_TYPES } from "../../src/settings/hub-options.ts";
import { NAMESPACE_OPTION_TYPES } from "../../src/settings/namespaces.ts";
import { flagOf, SETTING_NAMES, SETTINGS, variableOf } from "../../src/settings/settings.ts";

const folder = mkdtempSync(join(tmpdir(), "tungstate-settings-"));
after(() => rmSync(folder, { recursive: true }));

function written(content: unknown): string {
  const file = join(folder, "settings.json");
  writeFileSync(file, JSON.stringify(content));
  return file;
}

function problemsOf(flags: Flags, environment: Environment = {}): readonly string[] {
  return readSettings(flags, environment).problems;
}

describe("a setting in several sources", () => {
  test("flags take precedence over the environment, that over the file, that over the default", () => {
    const config = written({ port: 3, host: "file.example", drain: 7, maxConnections: 9 });
    const environment = { TUNGSTATE_PORT: "2", TUNGSTATE_HOST: "environment.example" };
    const { settings, problems } = readSettings({ config, port: "1" }, environment);
    assert.deepEqual(problems, []);
    const { port, host, drain, maxConnections, logLevel, workers } = settings;
    assert.deepEqual(
      [port, host, drain, maxConnections, logLevel, workers],
      [1, "environment.example", 7, 9, "info", 1],
    );
  });

  test("the environment may name the file", () => {
    const { settings } = readSettings({}, { TUNGSTATE_CONFIG: written({ port: 5 }) });
    assert.equal(settings.port, 5);
  });

  test("lists are repeated flags, commas in the environment, arrays in the file", () => {
    const wanted = ["https://a.example", "https://b.example"];
    assert.deepEqual(readSettings({ origin: wanted }, {}).settings.origin, wanted);
    assert.deepEqual(readSettings({}, { TUNGSTATE_ORIGIN: wanted.join(" , ") }).settings.origin, wanted);
    assert.deepEqual(readSettings({ config: written({ origin: wanted }) }, {}).settings.origin, wanted);
  });

  test("Redis URLs with commas are split only before the next URL", () => {
    const wanted = ["redis+cluster://a:1,b:2,c", "redis://:pass,word@d", "rediss+sentinel://e,f/main"];
    for (const between of [",", " , "]) {
      assert.deepEqual(readSettings({}, { TUNGSTATE_REDIS: wanted.join(between) }).settings.redis, wanted);
    }
  });

  test("switches are true or false in the environment", () => {
    assert.equal(readSettings({ compression: true }, {}).settings.compression, true);
    assert.equal(readSettings({}, { TUNGSTATE_COMPRESSION: "true" }).settings.compression, true);
    assert.equal(readSettings({}, { TUNGSTATE_COMPRESSION: "0" }).settings.compression, false);
    assert.equal(readSettings({}, { TUNGSTATE_COMPRESSION: "" }).settings.compression, false);
  });
});

describe("invalid settings", () => {
  const cases: [flags: Flags, environment: Environment, problem: string][] = [
    [{ port: "65536" }, {}, '--port must be an integer from 0 to 65535, got "65536"'],
    // an unset $HOST in --host "$HOST": an empty host would listen on all addresses
    [{ host: "" }, {}, '--host must be an address or a host name, got ""'],
    [{ config: "" }, { TUNGSTATE_PORT: "1" }, '--config must be the name of a file, got ""'],
    [{ port: "0x10" }, {}, '--port must be an integer from 0 to 65535, got "0x10"'],
    [{ drain: "-1" }, {}, '--drain must be an integer from 0 to 3600, got "-1"'],
    [
      { origin: ["https://a.example", "https://b.example/path"] },
      {},
      '--origin must be an origin such as https://example.com, without a path, or `any`, got "https://b.example/path"',
    ],
    [{ logLevel: "loud" }, {}, '--log-level must be one of silent, error, warn, info, debug, got "loud"'],
    [{ tokenJwks: "file:///keys" }, {}, '--token-jwks must be an http: or https: URL, got "file:///keys"'],
    [{}, { TUNGSTATE_WORKERS: "0" }, 'TUNGSTATE_WORKERS must be an integer from 1 to 1024, got "0"'],
    [{}, { TUNGSTATE_COMPRESSION: "yes" }, 'TUNGSTATE_COMPRESSION must be true or false, got "yes"'],
  ];
  for (const [flags, environment, problem] of cases) {
    test(problem, () => assert.deepEqual(problemsOf(flags, environment), [problem]));
  }

  test("all problems are reported at once, from every source", () => {
    const config = written({ drain: "soon", colour: "red" });
    assert.deepEqual(problemsOf({ config, port: "x" }, { TUNGSTATE_WORKERS: "y" }), [
      `${config}: drain must be an integer from 0 to 3600`,
      `${config}: unknown setting colour`,
      '--port must be an integer from 0 to 65535, got "x"',
      'TUNGSTATE_WORKERS must be an integer from 1 to 1024, got "y"',
    ]);
  });

  test("an empty host in a file is rejected", () => {
    const config = written({ host: "" });
    assert.deepEqual(problemsOf({ config }), [`${config}: host must be an address or a host name`]);
  });

  test("a valid flag does not hide an invalid value in the file", () => {
    const config = written({ port: "x" });
    assert.deepEqual(problemsOf({ config, port: "1" }), [`${config}: port must be an integer from 0 to 65535`]);
  });
});

test("README.md documents exactly the existing settings, with flag, argument and default", () => {
  const page = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
  const section = page.slice(page.indexOf("## tungstate serve"), page.indexOf("## tungstate token"));
  const rows = section.split("\n").filter((line) => /^\| `--/.test(line));
  const found = rows.map((row) => {
    const [, first = "", second = ""] = row.split("|");
    const [, flag = "", argument = ""] = /`(--[a-z\d-]+)(?: (<[^>]+>))?`/.exec(first) ?? [];
    return { flag, argument, defaultValue: /`([^`]*)`/.exec(second)?.[1] ?? "" };
  });
  const wanted = SETTING_NAMES.filter((name) => SETTINGS[name].only !== "file").map((name) => {
    const { argument = "", defaultValue } = SETTINGS[name];
    return { flag: flagOf(name), argument, defaultValue: defaultValue === undefined ? "" : String(defaultValue) };
  });
  const byFlag = (a: { flag: string }, b: { flag: string }): number => (a.flag < b.flag ? -1 : 1);
  assert.deepEqual(found.filter(({ flag }) => flag !== "--config").toSorted(byFlag), wanted.toSorted(byFlag));
  assert.equal(variableOf("maxConnections"), "TUNGSTATE_MAX_CONNECTIONS");
});

describe("hub options in a settings file", () => {
  const given = {
    anonymous: false,
    limits: {
      ...{ channels: 1000, channelLength: 300, messageSize: 300_000, depth: 20, queueBytes: 2_000_000 },
      ...{ pageBytes: 8192, cost: { perSecond: 1e6, burst: 2e6 } },
      ...{
        pending: 50,
        historyPage: 10,
        infoBytes: 5000,
        connectionsPerUser: 3,
        rates: { publish: { perSecond: 1000, burst: 2000 } },
      },
    },
    ping: { interval: 10_000, timeout: 3_000 },
    connectTimeout: 1_000,
    refreshGrace: 2_000,
    positionCheckInterval: 3_000,
    announceInterval: 4_000,
    name: "node",
    version: "7",
  };

  test("are all passed to the hub", () => {
    const { settings, problems } = readSettings({ config: written(given) }, {});
    assert.deepEqual(problems, []);
    assert.deepEqual(settings.hub, given);
    assert.deepEqual(Object.keys(given).toSorted(), Object.keys(HUB_OPTION_TYPES).toSorted());
    const { limits } = new Hub({ namespaces: {}, ...settings.hub });
    assert.deepEqual(limits, { ...given.limits, rates: { ...RATES, ...given.limits.rates } });
  });

  test("include each limit of the hub", () => {
    assert.deepEqual(Object.keys(given.limits).toSorted(), Object.keys(new Hub({ namespaces: {} }).limits).toSorted());
  });

  test("default to the hub's own defaults", () => {
    const { settings } = readSettings({ config: written({}) }, {});
    assert.deepEqual(settings.hub, {});
  });

  for (const [content, problem] of [
    [{ limits: { channel: 1 } }, /unknown option channel of limits: did you mean channels\?/],
    [{ limits: { channels: 0 } }, /limits\.channels .* 0$/],
    [{ limits: { channels: "many" } }, /limits\.channels .*"many"/],
    [{ limits: { rates: { shout: { perSecond: 1, burst: 1 } } } }, /limits\.rates must .*shout/],
    [{ limits: [] }, /limits must be an object/],
    [{ connectTimeout: "soon" }, /connectTimeout must be a number/],
    [{ connectTimeout: -1 }, /connectTimeout .*-1/],
    [{ ping: true }, /ping must be an object or false/],
    [{ ping: { interval: 1 } }, /ping\.interval .* 1$/],
    [{ onError: "x" }, /unknown setting onError/],
  ] as const) {
    test(`${JSON.stringify(content)} is rejected in one line`, () => {
      const config = written(content);
      const [line = "", ...more] = problemsOf({ config });
      assert.deepEqual(more, []);
      assert.ok(line.startsWith(`${config}: `), line);
      assert.match(line, problem);
    });
  }

  test("README.md documents each of them, and each limit and namespace option", () => {
    const page = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
    const namesIn = (from: string, to: string): readonly string[] => {
      const part = page.slice(page.indexOf(from), page.indexOf(to, page.indexOf(from)));
      const rows = part.split("\n").filter((line) => line.startsWith("| `"));
      return rows.flatMap((row) => [...(row.split("|")[1] ?? "").matchAll(/`(\w+)`/g)].map(([, name = ""]) => name));
    };
    assert.deepEqual(
      namesIn("Options of the hub", "`limits`, all").toSorted(),
      Object.keys(HUB_OPTION_TYPES).toSorted(),
    );
    const limits = Object.keys(new Hub({ namespaces: {} }).limits);
    assert.deepEqual(namesIn("`limits`, all", "Options of a namespace").toSorted(), limits.toSorted());
    assert.deepEqual(
      namesIn("Options of a namespace", "## tungstate token").toSorted(),
      Object.keys(NAMESPACE_OPTION_TYPES).toSorted(),
    );
  });
});
