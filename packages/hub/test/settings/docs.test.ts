import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { apiPages, namesOf } from "../../../tungstate/test/docs/support/api-pages.ts";
import { resolveOptions } from "../../src/settings/options.ts";

const parts = apiPages().flatMap(({ parts: each }) => each);

/** The numbers and flags in the column `default` of a table in docs/api. */
function documentedDefaults(name: string): Record<string, unknown> {
  const rows = parts.find((part) => part.entry === "@tungstate/hub" && part.name === name)?.rows ?? [];
  assert.ok(rows.length > 0, `docs/api documents ${name}`);
  const defaults = rows.map((row): [string, unknown] => [namesOf(row)[0] ?? "", valueOf(row["default"] ?? "")]);
  return Object.fromEntries(defaults.filter(([, value]) => value !== undefined));
}

function valueOf(text: string): unknown {
  if (/^[\d,]+$/.test(text)) return Number(text.replaceAll(",", ""));
  if (/^`".*"`$/.test(text)) return text.slice(2, -2);
  return text === "true" ? true : text === "false" ? false : undefined;
}

function pick(settings: object, names: readonly string[]): Record<string, unknown> {
  const values: Record<string, unknown> = { ...settings };
  return Object.fromEntries(names.map((name) => [name, values[name]]));
}

describe("docs/api: defaults of the hub", () => {
  const settings = resolveOptions({ namespaces: { chat: {} } });

  for (const [name, actual, least] of [
    ["HubOptions", settings, 7],
    ["Limits", settings.limits, 9],
    ["LimitOptions", settings.limits, 9],
    ["PingOptions", settings.ping || {}, 2],
    ["NamespaceOptions", settings.namespaces.of("chat:lobby") ?? {}, 6],
  ] as const) {
    test(name, () => {
      const documented = documentedDefaults(name);
      const names = Object.keys(documented);
      assert.ok(names.length >= least, `${names.length} defaults of ${name} are numbers, flags or strings`);
      assert.deepEqual(documented, pick(actual, names));
    });
  }
});
