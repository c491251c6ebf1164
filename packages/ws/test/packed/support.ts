// The packages as their users get them: packed, and unpacked into a node_modules folder, where this
// package has the name ws.
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../../../../", import.meta.url));

function unpack(source: string, target: string, temporary: string): void {
  const output = execFileSync("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", temporary], {
    cwd: join(root, source),
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
  const [packed] = [JSON.parse(output) as { filename: string }[]].flat();
  if (packed === undefined) throw new Error(`npm pack printed nothing for ${source}`);
  execFileSync("tar", ["xzf", join(temporary, packed.filename), "-C", temporary]);
  mkdirSync(dirname(target), { recursive: true });
  renameSync(join(temporary, "package"), target);
}

/** Creates a project whose `ws` is the packed package. Returns its folder. */
export function packedProject(): string {
  const folder = mkdtempSync(join(tmpdir(), "tungstate-packed-"));
  const modules = join(folder, "node_modules");
  const temporary = join(folder, "packed");
  mkdirSync(temporary);
  unpack("packages/ws", join(modules, "ws"), temporary);
  unpack("packages/tungstate", join(modules, "tungstate"), temporary);
  unpack("packages/protocol", join(modules, "@tungstate/protocol"), temporary);
  rmSync(temporary, { recursive: true });
  writeFileSync(join(folder, "package.json"), `{ "private": true }\n`);
  return folder;
}

/** Creates a project with ws and @types/ws as they are installed here. Returns its folder. */
export function referenceProject(): string {
  const folder = mkdtempSync(join(tmpdir(), "tungstate-reference-"));
  for (const name of ["ws", "@types/ws"]) {
    cpSync(join(root, "node_modules", name), join(folder, "node_modules", name), { recursive: true });
  }
  writeFileSync(join(folder, "package.json"), `{ "private": true }\n`);
  return folder;
}
