// Entry point of npm run conformance; `--help` lists the options.
import process from "node:process";
import { commandLine, flag, integer, oneOf, text } from "../scripts/command-line.mjs";
import type { ConformanceCase } from "./cases/case.ts";
import { CASES, GROUP_TITLES, groupOf } from "./cases/table.ts";
import { differences, readGolden, writeGolden } from "./golden.ts";
import { formatFindings, formatTable } from "./report.ts";
import { type Role, runCases } from "./runner/run.ts";
import { loadTarget, TARGET_NAMES, type TargetName } from "./targets/load.ts";

const DEFAULT_GROUPS = "1-7,9,10";
const ROLES = ["server", "client", "both"] as const;

interface Options {
  readonly target: TargetName;
  readonly roles: readonly Role[];
  readonly cases: readonly ConformanceCase[];
  readonly messages: number;
  readonly write: boolean;
}

function readOptions(): Options {
  const { groups, cases, target, role, messages, write, fail } = commandLine({
    command: "npm run conformance --",
    summary:
      "Runs the cases of the Autobahn Testsuite, as a server and as a client, and compares the results with the golden files.",
    options: {
      groups: text({
        argument: "numbers",
        help: `groups of cases, as numbers and ranges (default: ${DEFAULT_GROUPS})`,
        read(list) {
          casesOfGroups(list);
          return list;
        },
      }),
      cases: text({
        argument: "ids",
        help: "cases, such as 6.4.1,9.3.1",
        read(ids) {
          casesById(ids.split(","));
          return ids;
        },
      }),
      target: oneOf({ of: TARGET_NAMES, help: "implementation to test", byDefault: "tungstate" }),
      role: oneOf({ of: ROLES, help: "role of the implementation", byDefault: "both" }),
      messages: integer({ least: 1, help: "messages of each case in groups 12 and 13", byDefault: 1000 }),
      write: flag("write the golden files instead of comparing"),
    },
  });
  if (groups !== undefined && cases !== undefined) fail("--groups and --cases cannot be combined");
  return {
    target,
    roles: role === "both" ? ["server", "client"] : [role],
    cases: cases === undefined ? casesOfGroups(groups ?? DEFAULT_GROUPS) : casesById(cases.split(",")),
    messages,
    write,
  };
}

function casesOfGroups(list: string): readonly ConformanceCase[] {
  const wanted = new Set<number>();
  for (const item of list.split(",")) {
    const [, first, last = first] = /^(\d+)(?:-(\d+))?$/.exec(item) ?? [];
    const groups = [...GROUP_TITLES.keys()].filter((group) => group >= Number(first) && group <= Number(last));
    if (groups.length === 0) throw new Error(`expected numbers and ranges such as ${DEFAULT_GROUPS}, got ${item}`);
    for (const group of groups) wanted.add(group);
  }
  return CASES.filter(({ id }) => wanted.has(groupOf(id)));
}

function casesById(ids: readonly string[]): readonly ConformanceCase[] {
  return ids.map((id) => {
    const test = CASES.find((candidate) => candidate.id === id);
    if (test === undefined) throw new Error(`unknown case ${id}`);
    return test;
  });
}

async function main({ target: name, roles, cases, messages, write }: Options): Promise<boolean> {
  const target = await loadTarget(name);
  const expected = target.golden ?? name;
  let isAsExpected = true;
  for (const role of roles) {
    const start = performance.now();
    const results = await runCases(target, role, cases, { messages });
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    console.log(`\n${name} as ${role}, ${seconds} s\n\n${formatTable(results)}`);
    const findings = formatFindings(results);
    if (findings !== "") console.log(`\n${findings}`);
    if (write) {
      writeGolden(expected, role, results);
      continue;
    }
    const golden = readGolden(expected, role);
    const differing =
      golden.size === 0 ? ["the file does not exist; create it with --write"] : differences(golden, results);
    if (differing.length === 0) continue;
    isAsExpected = false;
    console.log(`\ndifferences to golden/${expected}-${role}.json:\n${differing.join("\n")}`);
  }
  return isAsExpected;
}

try {
  if (!(await main(readOptions()))) process.exitCode = 1;
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
