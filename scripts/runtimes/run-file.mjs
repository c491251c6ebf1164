// Runs one test file in one runtime, in a process of its own with a time limit, and returns the
// result of each test.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import process from "node:process";
import { root } from "../workspaces.mjs";

/** Output of a process that is kept, for its last lines. */
const KEPT_OUTPUT = 200_000; // characters

/** The arguments that run a test file and write its results as JUnit XML. */
const ARGUMENTS = {
  node: (file, report) => [
    "--import=./scripts/testing/typescript.mjs",
    "--test-reporter=junit",
    `--test-reporter-destination=${report}`,
    "--test-reporter=spec",
    "--test-reporter-destination=stdout",
    file,
  ],
  // a test that hangs fails; by default, this limit is 5 s
  bun: (file, report) => ["test", "--timeout=45000", "--reporter=junit", `--reporter-outfile=${report}`, `./${file}`],
  deno: (file, report) => ["test", "--allow-all", "--no-check", `--junit-path=${report}`, file],
};

/** Lines that a runtime prints about a test as soon as it has ended. */
const LIVE = {
  node: /^\s*(?<mark>[✔✖]) (?<name>.*?) \([\d.]+ms\)/,
  bun: /^\((?<mark>pass|fail)\) (?<name>.*?)(?: \[[\d.]+m?s\])?$/,
  deno: /^\s*(?<name>.*?) \.\.\. \x1b\[0m\x1b\[3[12]m(?<mark>ok|FAILED)/,
};

function kindOf(runtime) {
  return runtime.startsWith("node") ? "node" : runtime;
}

/**
 * Starts a program of a runtime; returns its exit status (undefined: ended after `limit` ms) and
 * its output.
 */
export function runProgram(binary, args, { limit, env = {} }) {
  return new Promise((resolve) => {
    // tests that start `node` start the runtime's own, if it has one; a group, to end what tests
    // start
    const child = spawn(binary, args, {
      cwd: root,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, PATH: dirname(binary) + delimiter + process.env.PATH, NODE_TEST_CONTEXT: "", ...env },
    });
    let output = "";
    const read = (chunk) => {
      output += chunk;
      if (output.length > KEPT_OUTPUT) output = output.slice(-KEPT_OUTPUT);
    };
    child.stdout.setEncoding("utf8").on("data", read);
    child.stderr.setEncoding("utf8").on("data", read);
    let status;
    let late = false;
    const end = () => {
      if (child.pid === undefined) return; // it could not be started
      try {
        process.kill(-child.pid, "SIGKILL");
      } catch {
        // all processes of the group have ended
      }
    };
    const timer = setTimeout(() => {
      late = true;
      end();
    }, limit);
    child.on("error", (error) => resolve({ status: 1, output: String(error) }));
    child.on("exit", (code, signal) => {
      status = code ?? signal;
      clearTimeout(timer);
      end();
    });
    child.on("close", () => resolve({ status: late ? undefined : status, output }));
  });
}

const ENTITIES = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

function decode(text) {
  return text.replace(/&(?:#(\d+)|#x([\da-f]+)|(\w+));/gi, (all, decimal, hex, name) => {
    if (name !== undefined) return ENTITIES[name] ?? all;
    return String.fromCodePoint(decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal));
  });
}

/** The tests in a JUnit file; a suite is none. */
function readJUnit(xml) {
  const tests = [];
  const suites = [];
  const tags =
    /<(?<close>\/?)(?<tag>testsuite|testcase|failure|error|skipped)\b(?<attributes>(?:[^>"]|"[^"]*")*?)(?<empty>\/?)>/g;
  let open;
  for (const { groups } of xml.matchAll(tags)) {
    const { close, tag, attributes, empty } = groups;
    const name = decode(/\bname="([^"]*)"/.exec(attributes)?.[1] ?? "");
    if (tag === "testsuite") {
      if (close !== "") suites.pop();
      else if (empty === "") suites.push(name);
    } else if (tag === "testcase") {
      if (close !== "") continue;
      open = {
        name: [...suites.filter((suite) => !/^(?:ext:|file:|.*\.test\.ts$)/.test(suite)), name].join(" > "),
        result: "passed",
      };
      tests.push(open);
    } else if (close === "" && open !== undefined) {
      open.result = tag === "skipped" ? "skipped" : "failed";
    }
  }
  // Deno lists suites as tests too
  return tests.filter(({ name }) => !tests.some((other) => other.name.startsWith(`${name} > `)));
}

function readOutput(kind, output) {
  const tests = [];
  for (const line of output.split("\n")) {
    const found = LIVE[kind].exec(line);
    if (found === null) continue;
    const passed = ["✔", "pass", "ok"].includes(found.groups.mark);
    tests.push({ name: found.groups.name, result: passed ? "passed" : "failed" });
  }
  return tests;
}

/** Name of the test that stands for a file which fails as a whole. */
const WHOLE_FILE = "(file)";

/**
 * Runs a test file. Returns its tests, `{ name, result }` with `passed`, `failed` or `skipped`, and
 * the output. A file that does not end within `limit` ms, or fails without a failed test, has one
 * more failed test: `(file)`.
 */
export async function runFile(runtime, binary, file, limit, env) {
  const kind = kindOf(runtime);
  const folder = mkdtempSync(join(tmpdir(), "tungstate-runtime-"));
  const report = join(folder, "report.xml");
  try {
    const { status, output } = await runProgram(binary, ARGUMENTS[kind](file, report), { limit, env });
    let tests;
    try {
      tests = readJUnit(readFileSync(report, "utf8"));
    } catch {
      tests = readOutput(kind, output);
    }
    if (status === undefined)
      tests.push({ name: WHOLE_FILE, result: "failed", why: `does not end within ${limit / 1000} s` });
    else if (status !== 0 && !tests.some(({ result }) => result === "failed"))
      tests.push({ name: WHOLE_FILE, result: "failed", why: `exits with ${status}` });
    return { file, tests, output };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
