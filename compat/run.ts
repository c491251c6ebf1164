// Runs a program's scenario, or its own test files, in an installed project.
import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import type { Program } from "./programs.ts";
import type { Engine } from "./project.ts";

export interface RunResult {
  readonly passed: number;
  /** Undefined if everything passed. */
  readonly failure: string | undefined;
}

const LIMIT = 90_000; // ms

export interface RunOptions {
  readonly folder: string;
  readonly engine: Engine;
  readonly chromium?: string | undefined;
  /** Options of Node.js. */
  readonly node?: readonly string[];
}

function execute(
  { folder, engine, chromium, node = [] }: RunOptions,
  args: readonly string[],
  cwd = folder,
): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    // a test runner within a test runner reports to the outer one
    const { NODE_TEST_CONTEXT: _context, NODE_OPTIONS: _options, ...environment } = process.env;
    const child = spawn(process.execPath, [...node, ...args], {
      cwd,
      env: {
        ...environment,
        COMPAT_WS: engine,
        ...(chromium === undefined ? {} : { COMPAT_CHROMIUM: chromium }),
      },
      timeout: LIMIT,
      killSignal: "SIGKILL",
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => (output += text));
    }
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, output }));
  });
}

async function runScenario(options: RunOptions, file: string): Promise<RunResult> {
  const { code, output } = await execute(options, [join(options.folder, file)]);
  const lines = output.split("\n");
  const passed = lines.filter((line) => line.startsWith("ok ")).length;
  const rest = lines.filter((line) => !line.startsWith("ok ")).join("\n");
  if (code === 0 && passed > 0) return { passed, failure: undefined };
  return { passed, failure: code === null ? `no end within ${LIMIT / 1000} s\n${rest}` : rest.trim() };
}

/** Counts of node:test in its TAP output. */
export function parseTap(output: string): { readonly passed: number; readonly failed: number } {
  const count = (name: string): number => Number(new RegExp(`^# ${name} (\\d+)$`, "m").exec(output)?.[1] ?? NaN);
  return { passed: count("pass"), failed: count("fail") + count("cancelled") };
}

async function runTestsOf(options: RunOptions, name: string): Promise<RunResult> {
  const cwd = join(options.folder, "node_modules", name);
  const files = readdirSync(join(cwd, "test")).filter((file) => file.endsWith(".test.js"));
  const args = ["--test", "--test-reporter=tap", ...files.map((file) => join("test", file))];
  const { output } = await execute(options, args, cwd);
  const { passed, failed } = parseTap(output);
  const failures = output.split("\n").filter((line) => /^ *not ok /.test(line));
  return { passed, failure: passed > 0 && failed === 0 ? undefined : `${failed} failed\n${failures.join("\n")}` };
}

export function runProgram({ run }: Program, options: RunOptions): Promise<RunResult> {
  return "scenario" in run ? runScenario(options, run.scenario) : runTestsOf(options, run.testsOf);
}
