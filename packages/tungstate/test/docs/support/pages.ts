import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { delimiter, dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

export const root: string = fileURLToPath(new URL("../../../../../", import.meta.url));
const TUNGSTATE = join(root, "packages/cli/bin/tungstate.js");
const TSC = join(root, "node_modules/typescript/bin/tsc");

/** A program that takes longer is stuck. */
const TIMEOUT_MS = 60_000;

/** A fenced block of a page. */
interface Block {
  /**
   * `ts` and `js` are programs, `sh` commands; all are run in the order of the page. `text` is the
   * output of the program before it. Blocks of other languages are not run.
   */
  readonly language: string;
  /**
   * Whether `serves` follows the language: the program keeps running while the rest of the page is
   * tested.
   */
  readonly serves: boolean;
  readonly code: string;
  /** Line in the page, from 1. */
  readonly line: number;
}

export function readPage(page: string): string {
  return readFileSync(join(root, page), "utf8");
}

/** Returns the blocks of a page, given by its path in the repository. */
function blocksOf(page: string): Block[] {
  const text = readPage(page);
  return [...text.matchAll(/^```(\w+)( serves)?\n(.*?)^```$/gms)].map(
    ({ 1: language = "", 2: serves, 3: code = "", index }) => ({
      language,
      serves: serves !== undefined,
      code,
      line: text.slice(0, index).split("\n").length,
    }),
  );
}

/** Returns the part of a page after a heading, down to the next one of its level or above. */
export function sectionOf(page: string, heading: string): string {
  const lines = readPage(page).split("\n");
  const start = lines.indexOf(heading);
  assert.ok(start >= 0, `${page} has no heading "${heading}"`);
  const level = heading.indexOf(" ");
  const rest = lines.slice(start + 1);
  const end = rest.findIndex((line) => /^#+ /.test(line) && line.indexOf(" ") <= level);
  return rest.slice(0, end < 0 ? undefined : end).join("\n");
}

/** Returns the rows of all tables in a text, each by column name. */
export function tableRows(text: string): Record<string, string>[] {
  const rows: Record<string, string>[] = [];
  let columns: string[] | undefined;
  for (const line of text.split("\n")) {
    const cells = line.startsWith("|") ? line.slice(1, -1).split("|") : undefined;
    if (cells === undefined) columns = undefined;
    else if (columns === undefined) columns = cells.map((cell) => cell.trim());
    else if (!/^[\s:-]+$/.test(cells[0])) {
      rows.push(Object.fromEntries(columns.map((column, at) => [column, cells[at]?.trim() ?? ""])));
    }
  }
  return rows;
}

/**
 * Commands about the repository itself, such as `npm ci && npm start`: only the existence of their
 * scripts is checked.
 */
function isAboutRepository({ code }: Block): boolean {
  return code.split("\n").every((line) => line === "" || line.startsWith("npm "));
}

const OF_NPM: ReadonlySet<string> = new Set(["ci", "create", "install"]);

/**
 * Each `npm run x` must be a script of the repository, and each `npm test -- x` must match a test.
 */
export function checkScripts(text: string): void {
  const { scripts } = JSON.parse(readPage("package.json")) as { readonly scripts: Readonly<Record<string, string>> };
  for (const [, run, name = "", parts = ""] of text.matchAll(/(?:^|`|&& )npm (run )?([\w:-]+)(?: -- ([\w/ -]+))?/gm)) {
    if (run === undefined && OF_NPM.has(name)) continue;
    assert.ok(name in scripts, `npm ${run ?? ""}${name}: there is no such script`);
    if (name !== "test") continue;
    for (const part of parts.split(" ").filter((word) => word !== "")) {
      assert.ok(
        testFiles().some((file) => file.includes(part)),
        `npm test -- ${part}: there is no such test`,
      );
    }
  }
}

function testFiles(): string[] {
  return ["packages", "apps", "bench", "conformance", "hardening", "examples", "scripts"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".test.ts") && !file.includes("node_modules"))
      .map((file) => `${folder}/${file}`),
  );
}

/** The environment of a page. */
interface PageOptions {
  /** Ports that the page names; each is replaced by a free one during the test. */
  readonly ports?: readonly number[];
  /**
   * Servers that the page presupposes: arguments of `tungstate`. They print a line when they are
   * ready.
   */
  readonly servers?: readonly (readonly string[])[];
  /** Packages that programs import, and what they get instead: the same under another name. */
  readonly packages?: Readonly<Record<string, string>>;
}

/**
 * Tests everything that a page shows: its programs print what it says, its commands succeed, its
 * scripts exist.
 */
export function describePage(page: string, { ports = [], servers = [], packages = {} }: PageOptions = {}): void {
  describe(page, () => {
    const folder = new ProgramFolder();
    const blocks = blocksOf(page);
    folder.add(blocks.map((block) => ({ ...block, code: importInstead(block.code, packages) })));
    before(async () => {
      await folder.prepare(ports);
      for (const args of servers) await folder.serve(process.execPath, [TUNGSTATE, ...args]);
    });
    after(() => folder.remove());

    blocks.forEach((block, index) => {
      const next = blocks[index + 1];
      const expected = next?.language === "text" ? next.code : "";
      if (isProgram(block)) {
        test(`the program in line ${block.line}`, async () => {
          assert.equal(await folder.run(block), expected);
        });
      } else if (block.language === "sh" && !isAboutRepository(block)) {
        test(`the commands in line ${block.line}`, async () => {
          const printed = await folder.run(block);
          if (next?.language === "text") assert.equal(printed, expected);
        });
      }
    });

    test("names only scripts that exist", () => checkScripts(readPage(page)));
  });
}

/** Compiles a program for its types only. Throws with the compiler's output. */
export async function checkTypes(code: string): Promise<void> {
  const folder = new ProgramFolder();
  try {
    folder.add([{ language: "ts", serves: false, code, line: 0 }]);
    await folder.prepare([]);
  } finally {
    await folder.remove();
  }
}

/** A started program; `text` and `errors` are its output so far. */
interface Running {
  readonly child: ChildProcess;
  text: string;
  errors: string;
  /** Its exit code. */
  readonly ended: Promise<number | null>;
}

/** Compiles the programs of several folders at once: the compiler takes a second each time. */
class Compiler {
  private readonly path: string;
  private waiting: { readonly folder: string; readonly files: readonly string[] }[] = [];
  private folders = 0;
  private readonly runs = new Map<string, Promise<void>>();

  constructor() {
    const cache = join(root, "node_modules", ".cache");
    mkdirSync(cache, { recursive: true });
    this.path = mkdtempSync(join(cache, "pages-"));
    process.once("exit", () => rmSync(this.path, { recursive: true, force: true }));
  }

  newFolder(): string {
    const folder = join(this.path, String(++this.folders));
    mkdirSync(folder);
    return folder;
  }

  /** Notes TypeScript files of a folder, to be compiled with those of others. */
  add(folder: string, files: readonly string[]): void {
    if (files.length > 0) this.waiting.push({ folder, files });
  }

  /** Compiles all noted files, those of this folder included. Throws with the compiler's output. */
  async compiled(folder: string): Promise<void> {
    const { waiting } = this;
    if (waiting.some((each) => each.folder === folder)) {
      this.waiting = [];
      const run = this.compile(waiting.flatMap((each) => each.files.map((file) => join(each.folder, file))));
      run.catch(() => undefined); // each of the folders reports it
      for (const each of waiting) this.runs.set(each.folder, run);
    }
    await this.runs.get(folder);
  }

  private async compile(files: readonly string[]): Promise<void> {
    const compilerOptions = { composite: false, declaration: false, declarationMap: false, sourceMap: false };
    const config = join(this.path, `tsconfig-${this.runs.size}.json`);
    writeFileSync(
      config,
      JSON.stringify({
        extends: join(root, "tsconfig.base.json"),
        compilerOptions: { ...compilerOptions, rootDir: ".", outDir: ".", types: ["node"] },
        files,
      }),
    );
    const child = spawn(process.execPath, [TSC, "-p", config], { stdio: ["ignore", "pipe", "inherit"] });
    let printed = "";
    child.stdout.on("data", (chunk) => (printed += String(chunk)));
    const [code] = (await once(child, "close")) as [number | null];
    if (code !== 0) throw new Error(`the compiler ended with ${code}: ${printed}`);
  }
}

const compiler = new Compiler();

/** A folder in which programs can import this repository's built packages by name. */
class ProgramFolder {
  private readonly path = compiler.newFolder();
  private programs: readonly Block[] = [];
  private readonly ports = new Map<number, number>();
  private readonly running = new Set<Running>();

  /** Writes the programs of a page. */
  add(blocks: readonly Block[]): void {
    this.programs = blocks.filter(isProgram);
    this.write("package.json", `{ "private": true, "type": "module" }\n`);
    // where npx looks for programs
    symlinkSync(join(root, "node_modules"), join(this.path, "node_modules"));
    for (const block of this.programs) {
      // the inserted lines keep the line numbers of the page in errors
      this.write(`${nameOf(block)}.${block.language}`, "\n".repeat(block.line) + block.code);
    }
    const typed = this.programs.filter(({ language }) => language === "ts");
    compiler.add(
      this.path,
      typed.map((block) => `${nameOf(block)}.ts`),
    );
  }

  /** Compiles the TypeScript programs, which checks their types, and replaces ports by free ones. */
  async prepare(ports: readonly number[]): Promise<void> {
    await compiler.compiled(this.path);
    for (const port of ports) this.ports.set(port, await freePort([...this.ports.values()]));
    for (const block of this.programs) {
      const name = `${nameOf(block)}.js`;
      this.write(name, this.toFree(readFileSync(join(this.path, name), "utf8")));
    }
  }

  /**
   * Runs a block to its end, or until it serves; returns its output. Throws with its stderr if it
   * fails.
   */
  async run(block: Block): Promise<string> {
    if (block.language === "sh") return this.finish(this.start("sh", ["-e", "-c", this.toFree(block.code)]));
    const program = `${nameOf(block)}.js`;
    return block.serves
      ? this.serve(process.execPath, [program])
      : this.finish(this.start(process.execPath, [program]));
  }

  /**
   * Starts a program that runs until `remove`; returns its first line, which reports that it is
   * ready.
   */
  async serve(program: string, args: readonly string[]): Promise<string> {
    const running = this.start(
      program,
      args.map((arg) => this.toFree(arg)),
    );
    while (!running.text.includes("\n")) {
      const ended = running.ended.then((code) => this.failure(running, code));
      const failure = await Promise.race([once(running.child.stdout ?? running.child, "data"), ended]);
      if (failure instanceof Error) throw failure;
    }
    return this.toShown(running.text);
  }

  async remove(): Promise<void> {
    const all = [...this.running];
    for (const { child } of all) child.kill();
    await Promise.all(all.map(({ ended }) => ended));
    rmSync(this.path, { recursive: true, force: true });
  }

  private write(name: string, text: string): void {
    writeFileSync(join(this.path, name), text);
  }

  private start(program: string, args: readonly string[]): Running {
    const env = { ...process.env, PATH: `${dirname(process.execPath)}${delimiter}${process.env["PATH"] ?? ""}` };
    const child = spawn(program, args, { cwd: this.path, env, stdio: ["ignore", "pipe", "pipe"], timeout: TIMEOUT_MS });
    const ended = once(child, "close").then(([code]) => {
      this.running.delete(running);
      return code as number | null;
    });
    const running: Running = { child, text: "", errors: "", ended };
    child.stdout.on("data", (chunk) => (running.text += String(chunk)));
    child.stderr.on("data", (chunk) => (running.errors += String(chunk)));
    this.running.add(running);
    return running;
  }

  private async finish(running: Running): Promise<string> {
    const code = await running.ended;
    if (code !== 0) throw this.failure(running, code);
    return this.toShown(running.text);
  }

  private failure({ text, errors }: Running, code: number | null): Error {
    return new Error(`it ended with ${code}: ${text}${errors}`);
  }

  private toFree(text: string): string {
    return replaceNumbers(text, this.ports);
  }

  private toShown(text: string): string {
    return replaceNumbers(text, new Map([...this.ports].map(([shown, free]) => [free, shown])));
  }
}

function importInstead(code: string, packages: Readonly<Record<string, string>>): string {
  return Object.entries(packages).reduce(
    (changed, [shown, installed]) => changed.replaceAll(` from "${shown}";`, ` from "${installed}";`),
    code,
  );
}

function isProgram({ language }: Block): boolean {
  return language === "ts" || language === "js";
}

function nameOf({ line }: Block): string {
  return `line-${line}`;
}

function replaceNumbers(text: string, numbers: ReadonlyMap<number, number>): string {
  return text.replace(/\b\d+\b/g, (digits) => String(numbers.get(Number(digits)) ?? digits));
}

/**
 * Returns a port without a listener that is not assigned by chance: below those that Linux uses for
 * connections and `listen(0)` (32,768 and up).
 */
async function freePort(taken: readonly number[]): Promise<number> {
  for (let tries = 0; tries < 100; tries++) {
    const port = randomInt(20_000, 32_000);
    if (taken.includes(port)) continue;
    const server = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
    });
    if (isFree) return port;
  }
  throw new Error("no port is free");
}
