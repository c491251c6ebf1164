import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { hashOf } from "./random.ts";

const folder = fileURLToPath(new URL("corpus/", import.meta.url));
const BYTES_IN_LINE = 40;

/**
 * Kept inputs, as lines of hexadecimal digits: former findings, and inputs that reach rare code.
 */
export interface Kept {
  readonly name: string;
  readonly input: Uint8Array;
}

export function keptOf(target: string): readonly Kept[] {
  const path = join(folder, target);
  if (!existsSync(path)) return [];
  return readdirSync(path)
    .filter((name) => name.endsWith(".hex"))
    .toSorted((a, b) => (a < b ? -1 : 1))
    .map((name) => ({ name: basename(name, ".hex"), input: readHex(join(path, name)) }));
}

/** Parses a file of hexadecimal digits with any whitespace. Throws for anything else. */
export function readHex(path: string): Uint8Array {
  const digits = readFileSync(path, "utf8").replace(/\s/g, "");
  if (!/^(?:[\da-f]{2})*$/.test(digits)) throw new Error(`${path}: expected pairs of hexadecimal digits`);
  return new Uint8Array(Buffer.from(digits, "hex"));
}

/** Keeps an input. Returns its file, relative to the repository. */
export function keep(target: string, input: Uint8Array): string {
  const name = `${hashOf(input).toString(16).padStart(8, "0")}.hex`;
  mkdirSync(join(folder, target), { recursive: true });
  const digits = Buffer.from(input).toString("hex");
  const lines = digits.match(new RegExp(`.{1,${2 * BYTES_IN_LINE}}`, "g")) ?? [];
  writeFileSync(join(folder, target, name), `${lines.join("\n")}\n`);
  return `hardening/fuzz/corpus/${target}/${name}`;
}
