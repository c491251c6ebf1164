// The folders and manifests of packages/, and the files of a folder.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("..", import.meta.url));

/**
 * Yields the files in a folder and its subfolders, except for those named in `skipped`. Paths are
 * relative to the root of the repository, with slashes. A folder that does not exist has no files.
 */
export function* filesIn(folder, skipped = new Set()) {
  if (!existsSync(join(root, folder))) return;
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
    const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
    if (!entry.isDirectory()) yield path;
    else if (!skipped.has(entry.name)) yield* filesIn(path, skipped);
  }
}

export function readPackages() {
  return readdirSync(join(root, "packages"), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => {
      const folder = join(root, "packages", entry.name);
      return { folder, manifest: JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) };
    });
}

/** Returns the names of `packages` that this one depends on, itself first. */
export function closureOf({ manifest }, packages) {
  const names = new Set([manifest.name]);
  for (const name of names) {
    const { dependencies = {} } = packages.find((candidate) => candidate.manifest.name === name).manifest;
    for (const { manifest: other } of packages) if (other.name in dependencies) names.add(other.name);
  }
  return [...names];
}
