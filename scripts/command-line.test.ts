import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import process from "node:process";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { commandLine, flag, integer, number, oneOf, someOf, text } from "./command-line.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));

const LOADER = new URL("testing/typescript.mjs", import.meta.url).href;

/**
 * Runs a script of package.json as npm does, without its `pre` script, and with the files that
 * `npm test` has compiled instead of tsx, which takes 0.2 s of CPU time for each process.
 */
function run(command: string, ...args: readonly string[]): { status: number | null; stdout: string; stderr: string } {
  const words = command
    .split(" ")
    .slice(1)
    .map((word) => (word === "tsx" ? LOADER : word));
  return spawnSync(process.execPath, [...words, ...args], { cwd: root, encoding: "utf8", timeout: 540_000 });
}

/** Scripts with options or arguments. The others run programs of other packages, or take none. */
const NAMES = [
  ...["fuzz", "simulate", "soak", "abuse", "chaos", "capacity", "conformance", "bench", "bench:hub", "bench:micro"],
  ...["bench:ws", "compat", "wpt", "test:portable", "test:runtimes", "test:anywhere", "test:starter", "release"],
  "interop:http2",
  ...["test", "test:nodes", "audit", "sbom", "mutate", "check:packages", "check:repository", "picture"],
  "docs",
];

const { scripts } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
  readonly scripts: Readonly<Record<string, string>>;
};

describe("scripts of the repository", { concurrency: 2 }, () => {
  for (const name of NAMES) {
    test(`${name} prints its usage for --help, and one line with status 2 for an unknown option`, () => {
      const command = scripts[name] ?? "";
      assert.match(command, /^node /);
      const help = run(command, "--help");
      assert.deepEqual([help.status, help.stderr], [0, ""]);
      assert.match(help.stdout, /^Usage: npm (?:run )?[\w:]+ -- /);
      const wrong = run(command, "--no-such-option");
      assert.deepEqual([wrong.status, wrong.stdout], [2, ""]);
      assert.match(
        wrong.stderr,
        /^npm (?:run )?[\w:]+ --: unknown option --no-such-option \(--help lists the options\)\n$/,
      );
    });
  }

  test("the list contains every script that reads its arguments", () => {
    const own = Object.entries(scripts).filter(([, command]) =>
      /^node (--import tsx )?[\w/-]+\.(ts|mjs)$/.test(command),
    );
    const reading = own.filter(([, command]) => {
      const file = command.split(" ").at(-1) ?? "";
      return /process\.argv(?!\[1\])|parseArgs|commandLine/.test(
        readFileSync(new URL(`../${file}`, import.meta.url), "utf8"),
      );
    });
    assert.deepEqual(reading.map(([name]) => name).toSorted(), NAMES.toSorted());
  });
});

const FILE = new URL("./command-line.mjs", import.meta.url).href;

/** Runs a script with these options and arguments, and returns what it prints. */
function parse(...args: readonly string[]): { status: number | null; stdout: string; stderr: string } {
  const code = `
    import { commandLine, flag, integer, number, oneOf, someOf, text } from ${JSON.stringify(FILE)};
    const { fail, ...values } = commandLine({
      command: "x", summary: "What x does.", argv: process.argv.slice(1),
      options: {
        count: integer({ least: 2, most: 9, help: "how many", byDefault: 3 }),
        time: number({ least: 0.5, help: "how long" }),
        file: text({ argument: "file", help: "where" }),
        kind: oneOf({ of: ["a", "b"], help: "which" }),
        kinds: someOf({ of: ["a", "b"], help: "which", byDefault: ["a"] }),
        fast: flag("hurry"),
      },
      operands: { name: "word", help: "words", read(word) { if (word === "bad") throw new Error("no such word"); return word; } },
    });
    console.log(JSON.stringify(values));`;
  return spawnSync(process.execPath, ["--input-type=module", "-e", code, "--", ...args], { encoding: "utf8" });
}

describe("commandLine", () => {
  test("returns given values and defaults", () => {
    const spec = {
      command: "x",
      summary: "",
      options: {
        count: integer({ help: "", byDefault: 3 }),
        time: number({ least: 0.5, help: "" }),
        file: text({ help: "", byDefault: "f" }),
        kind: oneOf({ of: ["a", "b"], help: "" }),
        kinds: someOf({ of: ["a", "b"], help: "" }),
        fast: flag(""),
      },
    };
    const { fail: _fail, ...byDefault } = commandLine({ ...spec, argv: [] });
    assert.deepEqual(byDefault, {
      ...{ count: 3, time: undefined, file: "f", kind: undefined, kinds: undefined, fast: false },
      operands: [],
    });
    const argv = ["--count=7", "--time", ".5", "--file", "g", "--kind", "b", "--kinds", "b,a", "--fast"];
    const { fail: _same, ...given } = commandLine({ ...spec, argv });
    assert.deepEqual(given, {
      ...{ count: 7, time: 0.5, file: "g", kind: "b", kinds: ["b", "a"], fast: true },
      operands: [],
    });
  });

  for (const [args, line] of [
    [["--count", "1"], '--count must be an integer from 2 to 9, got "1"'],
    [["--count", "2.5"], '--count must be an integer from 2 to 9, got "2.5"'],
    [["--count", "x"], '--count must be an integer from 2 to 9, got "x"'],
    [["--count"], "--count requires a value"],
    [["--count", "--fast"], "--count requires a value"],
    [["--time=-1"], '--time must be a number of at least 0.5, got "-1"'],
    [["--kind", "c"], '--kind must be one of a, b, got "c"'],
    [["--kinds", "a,c"], '--kinds must be one of a, b, got "a,c"'],
    [["--fast=no"], "--fast takes no value"],
    [["-x"], "unknown option -x"],
    [["--constructor"], "unknown option --constructor"],
    [["good", "bad"], "an argument: no such word"],
  ] as const) {
    test(`rejects ${args.join(" ")}`, () => {
      assert.deepEqual(
        [parse(...args)].map(({ status, stdout, stderr }) => ({ status, stdout, stderr })),
        [{ status: 2, stdout: "", stderr: `x: ${line} (--help lists the options)\n` }],
      );
    });
  }

  test("--help lists arguments, options and defaults, in any position", () => {
    for (const args of [["--help"], ["-h"], ["--count", "1", "--help"]]) {
      const { status, stdout } = parse(...args);
      assert.equal(status, 0);
      assert.match(stdout, /^Usage: x \[options\] \[word\.\.\.\]\n\nWhat x does\.\n\n {2}<word> /);
      assert.match(stdout, /\n {2}--count <count> +how many \(default: 3\)\n/);
      assert.match(stdout, /\n {2}--kinds <names> +which: some of a, b \(default: a\)\n/);
    }
  });
});
