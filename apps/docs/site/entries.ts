import { readFileSync } from "node:fs";
import { join } from "node:path";
import { repository } from "./folders.ts";

/** Packages whose docstrings become pages, in the order of the navigation. */
const PACKAGES = ["tungstate", "hub", "protocol"];

/** Entries of a package that are not public. */
const PRIVATE: ReadonlySet<string> = new Set(["./internal", "./package.json"]);

/** Folder of the site with the pages that TypeDoc writes. */
export const REFERENCE = "reference";

/** An entry of a package. */
export interface Entry {
  /** The name that programs import. */
  readonly name: string;
  /** Path of its source file. */
  readonly file: string;
}

interface Manifest {
  readonly name: string;
  readonly exports: Readonly<Record<string, string | { readonly default: string }>>;
}

/** Returns the public entries of the packages, as their manifests list them. */
export function publicEntries(): Entry[] {
  return PACKAGES.flatMap((folder) => {
    const path = join(repository, "packages", folder);
    const { name, exports } = JSON.parse(readFileSync(join(path, "package.json"), "utf8")) as Manifest;
    return Object.entries(exports).flatMap(([entry, target]) => {
      if (PRIVATE.has(entry) || typeof target === "string") return [];
      const file = target.default.replace("./dist/", "src/").replace(/\.js$/, ".ts");
      return { name: entry.replace(".", name), file: join(path, file) };
    });
  });
}
