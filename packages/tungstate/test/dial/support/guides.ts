import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../../../../", import.meta.url));

/** One fenced block of a guide. */
export interface Block {
  /** `js` and `sh` are run; `text` is what the `js` before it prints. */
  readonly language: string;
  readonly code: string;
  /** In the guide, from 1. */
  readonly line: number;
}

export function blocksOf(guide: string): Block[] {
  const text = readFileSync(join(root, "docs", "guides", guide), "utf8");
  return [...text.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(({ 1: language = "", 2: code = "", index }) => ({
    language,
    code,
    line: text.slice(0, index).split("\n").length,
  }));
}

/** A folder in which programs find this repository's packages by their names. */
export class GuideFolder {
  readonly path: string;
  private count = 0;

  constructor() {
    const cache = join(root, "node_modules", ".cache");
    mkdirSync(cache, { recursive: true });
    this.path = mkdtempSync(join(cache, "guide-"));
  }

  /** Runs a block; gives what it prints. Throws with what it says to stderr if it fails. */
  async run(block: Block): Promise<string> {
    if (block.language === "sh") return await this.spawn("sh", ["-e", "-c", block.code]);
    const file = join(this.path, `program${++this.count}.mjs`);
    writeFileSync(file, block.code);
    return await this.spawn(process.execPath, [file]);
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }

  private async spawn(program: string, args: readonly string[]): Promise<string> {
    const child = spawn(program, args, { cwd: this.path, stdio: ["ignore", "pipe", "pipe"] });
    let [output, errors] = ["", ""];
    child.stdout.on("data", (chunk) => (output += String(chunk)));
    child.stderr.on("data", (chunk) => (errors += String(chunk)));
    const [code] = (await once(child, "close")) as [number | null];
    if (code !== 0) throw new Error(`it ended with ${code}: ${errors}`);
    return output;
  }
}
