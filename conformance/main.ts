// npm run conformance -- [--groups 1-7,9,10] [--cases 6.4.1,9.3.1] [--target tungstate] [--role both] [--messages 1000] [--write]
import process from "node:process";
import { parseArgs } from "node:util";
import type { ConformanceCase } from "./cases/case.ts";
import { CASES, GROUP_TITLES, groupOf } from "./cases/table.ts";
import { differences, readGolden, writeGolden } from "./golden.ts";
import { formatFindings, formatTable } from "./report.ts";
import { type Role, runCases } from "./runner/run.ts";
import { isTargetName, loadTarget, TARGET_NAMES, type TargetName } from "./targets/load.ts";

const DEFAULT_GROUPS = "1-7,9,10";
const DEFAULT_MESSAGES = "1000";

interface Options {
  readonly target: TargetName;
  readonly roles: readonly Role[];
  readonly cases: readonly ConformanceCase[];
  readonly messages: number;
  readonly write: boolean;
}

function readOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      groups: { type: "string" },
      cases: { type: "string" },
      target: { type: "string", default: "tungstate" },
      role: { type: "string", default: "both" },
      messages: { type: "string", default: DEFAULT_MESSAGES },
      write: { type: "boolean", default: false },
    },
  });
  const { groups, cases, target, role, messages, write } = values;
  if (!isTargetName(target)) throw new Error(`--target: expected ${TARGET_NAMES.join(" or ")}, got ${target}`);
  if (role !== "server" && role !== "client" && role !== "both") {
    throw new Error(`--role: expected server, client or both, got ${role}`);
  }
  if (groups !== undefined && cases !== undefined) throw new Error("--groups and --cases: expected one of them");
  if (!/^[1-9]\d*$/.test(messages)) throw new Error(`--messages: expected a number above 0, got ${messages}`);
  return {
    target,
    roles: role === "both" ? ["server", "client"] : [role],
    cases: cases === undefined ? casesOfGroups(groups ?? DEFAULT_GROUPS) : casesById(cases.split(",")),
    messages: Number(messages),
    write,
  };
}

function casesOfGroups(list: string): readonly ConformanceCase[] {
  const wanted = new Set<number>();
  for (const item of list.split(",")) {
    const [, first, last = first] = /^(\d+)(?:-(\d+))?$/.exec(item) ?? [];
    const groups = [...GROUP_TITLES.keys()].filter((group) => group >= Number(first) && group <= Number(last));
    if (groups.length === 0)
      throw new Error(`--groups: expected numbers and ranges such as ${DEFAULT_GROUPS}, got ${item}`);
    for (const group of groups) wanted.add(group);
  }
  return CASES.filter(({ id }) => wanted.has(groupOf(id)));
}

function casesById(ids: readonly string[]): readonly ConformanceCase[] {
  return ids.map((id) => {
    const test = CASES.find((candidate) => candidate.id === id);
    if (test === undefined) throw new Error(`--cases: there is no case ${id}`);
    return test;
  });
}

async function main({ target: name, roles, cases, messages, write }: Options): Promise<boolean> {
  const target = await loadTarget(name);
  let isAsExpected = true;
  for (const role of roles) {
    const start = performance.now();
    const results = await runCases(target, role, cases, { messages });
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    console.log(`\n${name} as ${role}, ${seconds} s\n\n${formatTable(results)}`);
    const findings = formatFindings(results);
    if (findings !== "") console.log(`\n${findings}`);
    if (write) {
      writeGolden(name, role, results);
      continue;
    }
    const golden = readGolden(name, role);
    const differing =
      golden.size === 0 ? ["there is no such file yet: --write makes it"] : differences(golden, results);
    if (differing.length === 0) continue;
    isAsExpected = false;
    console.log(`\nnot as in golden/${name}-${role}.json:\n${differing.join("\n")}`);
  }
  return isAsExpected;
}

try {
  if (!(await main(readOptions(process.argv.slice(2))))) process.exitCode = 1;
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
