import { execFile } from "node:child_process";
import { mkdirSync, readdirSync, renameSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const HERE = fileURLToPath(new URL(".", import.meta.url));
/** Folder of all build output; not committed. */
export const BUILT = join(HERE, "..", "dist");

export interface LoadProgram {
  readonly file: string;
  readonly hasDeflate: boolean;
  readonly hasTls: boolean;
}

const ZLIB = ["-DWITH_ZLIB", "-lz"];
const TLS = ["-DWITH_TLS", "-lssl", "-lcrypto"];
const COMPILERS = ["cc", "gcc", "clang"];

/**
 * Compiles the load generator unless it is up to date, with zlib and OpenSSL if their headers
 * exist.
 */
export async function buildLoad(): Promise<LoadProgram> {
  for (const extras of [[...ZLIB, ...TLS], ZLIB, TLS, []]) {
    const hasDeflate = extras.includes("-lz");
    const hasTls = extras.includes("-lssl");
    const name = `load${hasDeflate ? "-zlib" : ""}${hasTls ? "-tls" : ""}`;
    const file = await compile("load.c", name, ["-lm", ...extras]);
    if (file !== undefined) return { file, hasDeflate, hasTls };
  }
  throw new Error("the load generator does not compile");
}

/** Compiles the ceiling server. */
export async function buildCeiling(): Promise<string> {
  const file = await compile("echo.c", "echo", []);
  if (file === undefined) throw new Error("the ceiling server does not compile");
  return file;
}

/** Compiles the load generator of the hub rows. */
export async function buildHubLoad(): Promise<string> {
  const file = await compile("../hub/load.c", "hub-load", ["-lm"]);
  if (file === undefined) throw new Error("the hub's load generator does not compile");
  return file;
}

// Returns the path of the program, or undefined if the source does not compile with these flags.
async function compile(source: string, name: string, flags: readonly string[]): Promise<string | undefined> {
  const from = join(HERE, source);
  const to = join(BUILT, name);
  const headers = [HERE, dirname(from)].flatMap((folder) => readdirSync(folder).map((entry) => join(folder, entry)));
  const sources = [from, ...headers.filter((path) => path.endsWith(".h"))];
  if (modified(to) > Math.max(...sources.map(modified))) return to;
  mkdirSync(BUILT, { recursive: true });
  // written elsewhere and renamed, so that concurrent builds never see a partial program
  const made = `${to}.${process.pid}`;
  for (const compiler of COMPILERS) {
    const outcome = await run(compiler, ["-O2", "-o", made, from, ...flags]);
    if (outcome === "ok") {
      renameSync(made, to);
      return to;
    }
    if (outcome === "failed") return undefined;
  }
  throw new Error(
    `no C compiler: expected one of ${COMPILERS.join(", ")} to build the load generator (bench/load/${source})`,
  );
}

function run(command: string, args: readonly string[]): Promise<"ok" | "failed" | "missing"> {
  return new Promise((resolve) => {
    execFile(command, [...args], (error) => {
      resolve(error === null ? "ok" : error.code === "ENOENT" ? "missing" : "failed");
    });
  });
}

function modified(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
