// Takes away what the compiler has made of sources that are no more: it leaves that in dist, from where it would be packed and published.
import { existsSync, readdirSync, rmSync } from "node:fs";
import { join, relative } from "node:path";
import { readPackages, root } from "./workspaces.mjs";

const MADE = /(?:\.js|\.js\.map|\.d\.ts|\.d\.ts\.map)$/;

for (const { folder } of readPackages()) {
  const dist = join(folder, "dist");
  if (!existsSync(dist)) continue;
  for (const file of readdirSync(dist, { recursive: true })) {
    if (!MADE.test(file) || existsSync(join(folder, "src", file.replace(MADE, ".ts")))) continue;
    rmSync(join(dist, file));
    console.log(`removed ${relative(root, join(dist, file))}, of a source that is no more`);
  }
}
