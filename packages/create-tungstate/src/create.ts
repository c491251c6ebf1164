import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { CreateError } from "./errors.ts";
import { checkName } from "./names.ts";
import type { Template } from "./templates.ts";

const PACKAGE = fileURLToPath(new URL("..", import.meta.url));

/** npm does not pack files with these names. They have another name in the template. */
const RENAMED: Readonly<Record<string, string>> = { _gitignore: ".gitignore" };

/** What may be in a folder that counts as empty: `git init` comes first in some workflows. */
const PERMITTED: ReadonlySet<string> = new Set([".git"]);

/** The name of the project in the files of a template. */
const PLACEHOLDER = "{{name}}";

/** A project to create. */
export interface Project {
  readonly folder: string;
  readonly template: Template;
  /** Default: the name of the folder. */
  readonly name?: string | undefined;
}

/** Returns the version of this package, which is that of all packages of Tungstate. */
export async function ownVersion(): Promise<string> {
  const manifest = JSON.parse(await readFile(join(PACKAGE, "package.json"), "utf8")) as { version: string };
  return manifest.version;
}

/**
 * Creates the project and returns the paths of its files. Throws a CreateError if the name is
 * invalid or the folder cannot be used. No file is overwritten.
 */
export async function createProject({ folder, template, name }: Project): Promise<string[]> {
  const target = resolve(folder);
  const packageName = name ?? basename(target);
  checkName(packageName);
  await checkFolder(target, folder);
  const files = await readTemplate(template, packageName);
  try {
    for (const [path, text] of files) {
      await mkdir(dirname(join(target, path)), { recursive: true });
      await writeFile(join(target, path), text, { flag: "wx" });
    }
  } catch (error) {
    throw new CreateError(`cannot write to ${folder}: ${codeOf(error)}`, { cause: error });
  }
  return [...files.keys()];
}

async function checkFolder(target: string, shown: string): Promise<void> {
  let names: string[];
  try {
    names = await readdir(target);
  } catch (error) {
    const code = codeOf(error);
    if (code === "ENOENT") return;
    if (code === "ENOTDIR") throw new CreateError(`${shown} is not a folder`, { cause: error });
    throw new CreateError(`cannot read ${shown}: ${code}`, { cause: error });
  }
  const found = names.filter((each) => !PERMITTED.has(each));
  if (found.length === 0) return;
  const list = found.slice(0, 3).join(", ") + (found.length > 3 ? ", …" : "");
  throw new CreateError(`${shown} is not empty, it contains ${list}: name a new or an empty folder`);
}

/** Returns the files of a project by path, with slashes. */
async function readTemplate(template: Template, name: string): Promise<Map<string, string>> {
  const source = join(PACKAGE, "templates", template.name);
  const version = await ownVersion();
  const files = new Map<string, string>();
  for (const entry of await readdir(source, { recursive: true, withFileTypes: true })) {
    const path = join(relative(source, entry.parentPath), RENAMED[entry.name] ?? entry.name);
    // a checkout of the repository may have installed packages there
    if (!entry.isFile() || path.split(/[\\/]/).includes("node_modules")) continue;
    const text = await readFile(join(entry.parentPath, entry.name), "utf8");
    files.set(
      path.replaceAll(sep, "/"),
      (path === "package.json" ? withVersions(text, version) : text).replaceAll(PLACEHOLDER, name),
    );
  }
  return new Map([...files].toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

/**
 * Returns a manifest whose dependencies on packages of Tungstate, `"*"` in the template, are those
 * of this version.
 */
function withVersions(text: string, version: string): string {
  return text.replace(/("(?:tungstate|@tungstate\/[\w-]+)": )"\*"/g, (_, key: string) => `${key}"^${version}"`);
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error);
}
