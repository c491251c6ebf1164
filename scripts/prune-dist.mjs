// Removes compiled files without a source. The compiler leaves them in dist, from where they would
// be published.
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
    console.log(`removed ${relative(root, join(dist, file))}, which has no source`);
  }
}
