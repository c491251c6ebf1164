import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { type Environment, type Flags, gatherSettings } from "../src/gather.ts";
import { flagOf, SETTING_NAMES, SETTINGS, variableOf } from "../src/settings.ts";

const folder = mkdtempSync(join(tmpdir(), "tungstate-settings-"));
after(() => rmSync(folder, { recursive: true }));

function written(content: unknown): string {
  const file = join(folder, "settings.json");
  writeFileSync(file, JSON.stringify(content));
  return file;
}

function problemsOf(flags: Flags, environment: Environment = {}): readonly string[] {
  return gatherSettings(flags, environment).problems;
}

describe("what is said in several places", () => {
  test("a flag goes before the environment, that before the file, that before the default", () => {
    const config = written({ port: 3, host: "file.example", drain: 7, maxConnections: 9 });
    const environment = { TUNGSTATE_PORT: "2", TUNGSTATE_HOST: "environment.example" };
    const { settings, problems } = gatherSettings({ config, port: "1" }, environment);
    assert.deepEqual(problems, []);
    const { port, host, drain, maxConnections, logLevel, workers } = settings;
    assert.deepEqual(
      [port, host, drain, maxConnections, logLevel, workers],
      [1, "environment.example", 7, 9, "info", 1],
    );
  });

  test("the file may be named by the environment", () => {
    const { settings } = gatherSettings({}, { TUNGSTATE_CONFIG: written({ port: 5 }) });
    assert.equal(settings.port, 5);
  });

  test("lists: several flags, commas in the environment, arrays in the file", () => {
    const wanted = ["https://a.example", "https://b.example"];
    assert.deepEqual(gatherSettings({ origin: wanted }, {}).settings.origin, wanted);
    assert.deepEqual(gatherSettings({}, { TUNGSTATE_ORIGIN: wanted.join(" , ") }).settings.origin, wanted);
    assert.deepEqual(gatherSettings({ config: written({ origin: wanted }) }, {}).settings.origin, wanted);
  });

  test("URLs of Redis have commas in them, and are separated by those that a URL comes after", () => {
    const wanted = ["redis+cluster://a:1,b:2,c", "redis://:pass,word@d", "rediss+sentinel://e,f/main"];
    for (const between of [",", " , "]) {
      assert.deepEqual(gatherSettings({}, { TUNGSTATE_REDIS: wanted.join(between) }).settings.redis, wanted);
    }
  });

  test("what is there or not is true or false in the environment", () => {
    assert.equal(gatherSettings({ compression: true }, {}).settings.compression, true);
    assert.equal(gatherSettings({}, { TUNGSTATE_COMPRESSION: "true" }).settings.compression, true);
    assert.equal(gatherSettings({}, { TUNGSTATE_COMPRESSION: "0" }).settings.compression, false);
    assert.equal(gatherSettings({}, { TUNGSTATE_COMPRESSION: "" }).settings.compression, false);
  });
});

describe("what is wrong", () => {
  const cases: [flags: Flags, environment: Environment, problem: string][] = [
    [{ port: "65536" }, {}, '--port has to be a whole number from 0 to 65535, got "65536"'],
    // which would be all addresses, and no file: what --host "$HOST" says where HOST is not set
    [{ host: "" }, {}, '--host has to be an address, or a name that is not empty, got ""'],
    [{ config: "" }, { TUNGSTATE_PORT: "1" }, '--config has to be the name of a file, got ""'],
    [{ port: "0x10" }, {}, '--port has to be a whole number from 0 to 65535, got "0x10"'],
    [{ drain: "-1" }, {}, '--drain has to be a whole number from 0 to 3600, got "-1"'],
    [
      { origin: ["https://a.example", "https://b.example/path"] },
      {},
      '--origin has to be something like https://example.com, without a path, or `any`, got "https://b.example/path"',
    ],
    [{ logLevel: "loud" }, {}, '--log-level has to be one of silent, error, warn, info, debug, got "loud"'],
    [{ tokenJwks: "file:///keys" }, {}, '--token-jwks has to be an http: or https: URL, got "file:///keys"'],
    [{}, { TUNGSTATE_WORKERS: "0" }, 'TUNGSTATE_WORKERS has to be a whole number from 1 to 1024, got "0"'],
    [{}, { TUNGSTATE_COMPRESSION: "yes" }, 'TUNGSTATE_COMPRESSION has to be true or false, got "yes"'],
  ];
  for (const [flags, environment, problem] of cases) {
    test(problem, () => assert.deepEqual(problemsOf(flags, environment), [problem]));
  }

  test("all of it is said at once, wherever it was", () => {
    const config = written({ drain: "soon", colour: "red" });
    assert.deepEqual(problemsOf({ config, port: "x" }, { TUNGSTATE_WORKERS: "y" }), [
      `${config}: drain has to be a whole number from 0 to 3600`,
      `${config}: there is no setting colour`,
      '--port has to be a whole number from 0 to 65535, got "x"',
      'TUNGSTATE_WORKERS has to be a whole number from 1 to 1024, got "y"',
    ]);
  });

  test("an empty address in a file", () => {
    const config = written({ host: "" });
    assert.deepEqual(problemsOf({ config }), [`${config}: host has to be an address, or a name that is not empty`]);
  });

  test("what is heard elsewhere does not make a wrong file right", () => {
    const config = written({ port: "x" });
    assert.deepEqual(problemsOf({ config, port: "1" }), [`${config}: port has to be a whole number from 0 to 65535`]);
  });
});

test("README.md has every setting, by flag, variable and default, and no other", () => {
  const page = readFileSync(new URL("../README.md", import.meta.url), "utf8");
  const section = page.slice(page.indexOf("## tungstate serve"), page.indexOf("## tungstate token"));
  const rows = section.split("\n").filter((line) => /^\| `--/.test(line));
  const found = rows.map((row) => {
    const [, first = "", second = ""] = row.split("|");
    const [, flag = "", argument = ""] = /`(--[a-z-]+)(?: (<[^>]+>))?`/.exec(first) ?? [];
    return { flag, argument, byDefault: /`([^`]*)`/.exec(second)?.[1] ?? "" };
  });
  const wanted = SETTING_NAMES.filter((name) => SETTINGS[name].only !== "file").map((name) => {
    const { argument = "", byDefault } = SETTINGS[name];
    return { flag: flagOf(name), argument, byDefault: byDefault === undefined ? "" : String(byDefault) };
  });
  const byFlag = (a: { flag: string }, b: { flag: string }): number => (a.flag < b.flag ? -1 : 1);
  assert.deepEqual(found.filter(({ flag }) => flag !== "--config").toSorted(byFlag), wanted.toSorted(byFlag));
  assert.equal(variableOf("maxConnections"), "TUNGSTATE_MAX_CONNECTIONS");
});
