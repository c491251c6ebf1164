// Every public name and every public member has a docstring. Reads the declarations that the
// compiler emits, whose layout is regular.
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { filesIn, readPackages, root } from "../workspaces.mjs";

const EXPORT = /^export (?:type )?\{([^}]*)\} from "([^"]+)";/gm;

/** The names that an entry exports, with the file that declares each. */
export function exportedNames(entry, read = (path) => readFileSync(path, "utf8")) {
  const names = new Map();
  const text = read(entry);
  for (const [, list, from] of text.matchAll(EXPORT)) {
    if (!from.startsWith(".")) continue; // another package's name is checked there
    const file = join(dirname(entry), from.replace(/\.[jt]s$/, ".d.ts"));
    for (const each of list.split(",")) {
      const name = each
        .trim()
        .replace(/^type /, "")
        .split(" as ")[0];
      if (name !== "") names.set(name, file);
    }
  }
  for (const [, name] of text.matchAll(DECLARATION)) names.set(name, entry);
  return names;
}

const DECLARATION = /^export (?:declare )?(?:abstract )?(?:class|interface|type|function|const) (\w+)/gm;

/** The lines of a declaration, and whether a docstring stands above it. */
function declarationOf(lines, name) {
  const start = lines.findIndex((line) =>
    new RegExp(`^export (?:declare )?(?:abstract )?(?:class|interface|type|function|const) ${name}\\b`).test(line),
  );
  if (start === -1) return undefined;
  const isOneLine = /[;}]$/.test(lines[start]) && !lines[start].endsWith("{");
  const end = isOneLine ? start : lines.findIndex((line, index) => index > start && /^\S/.test(line));
  // rows of a table need none, and neither do fields in the signature of a function
  const isTable = / (?:const|function) /.test(lines[start]);
  const inherited = /^export .*(?: implements | extends )([^{]*)\{/.exec(lines[start])?.[1] ?? "";
  const parents = inherited.match(/\b[A-Z]\w*/g) ?? [];
  return {
    start,
    isTable,
    parents,
    body: lines.slice(start + 1, end === -1 ? lines.length : end),
    isDocumented: endsDocstring(lines, start),
  };
}

function endsDocstring(lines, index) {
  return index > 0 && lines[index - 1].trimEnd().endsWith("*/");
}

const MEMBER = /^ {4}(?:static |readonly |get |set |abstract )*(\w+|\[[^\]]+\])\??[<(:;]/;

/**
 * Members of a class, an interface or an object type, with a docstring and without; of overloads
 * and accessors, one is enough.
 */
function membersOf(body) {
  const bare = new Set();
  const documented = new Set();
  body.forEach((line, index) => {
    if (/^ {4}(?:private|protected|#)/.test(line)) return;
    const [, name] = MEMBER.exec(line) ?? [];
    // a name with an underscore is one that Node.js's streams call
    if (name === undefined || name === "constructor" || name.startsWith("_")) return;
    (endsDocstring(body, index) ? documented : bare).add(name);
  });
  return { documented, bare: [...bare].filter((name) => !documented.has(name)) };
}

/**
 * What of a declaration file's exports is not documented. `contracts`: the documented members of
 * the interfaces that a class may implement, whose docstrings count for the class.
 */
export function bareNames(text, names, contracts = new Map()) {
  const lines = text.split("\n");
  return names.flatMap((name) => {
    const declaration = declarationOf(lines, name);
    if (declaration === undefined) return [];
    const inherited = new Set(declaration.parents.flatMap((parent) => [...(contracts.get(parent) ?? [])]));
    const bare = declaration.isTable ? [] : membersOf(declaration.body).bare.filter((member) => !inherited.has(member));
    const members = bare.map((member) => `${name}.${member}`);
    return declaration.isDocumented ? members : [name, ...members];
  });
}

/** The documented members of every interface and class in declaration files, by its name. */
function contractsOf(texts) {
  const contracts = new Map();
  for (const text of texts) {
    const lines = text.split("\n");
    for (const [, name] of text.matchAll(/^export (?:declare )?(?:class|interface) (\w+)/gm)) {
      const { body } = declarationOf(lines, name);
      contracts.set(name, new Set([...(contracts.get(name) ?? []), ...membersOf(body).documented]));
    }
  }
  return contracts;
}

/**
 * Entries of packages that users import: those of `exports` that are neither internal nor a
 * manifest.
 */
function entriesOf({ folder, manifest }) {
  return Object.entries(manifest.exports ?? {})
    .filter(([path]) => !path.startsWith("./internal"))
    .map(([, { types }]) => types)
    .filter((types) => types !== undefined)
    .map((types) => join(folder, types));
}

function declarationFiles(folder) {
  return [...filesIn(relative(root, folder))].filter((name) => name.endsWith(".d.ts")).map((name) => join(root, name));
}

export function checkDocstrings() {
  const faults = new Set();
  const packages = readPackages();
  const contracts = contractsOf(
    packages.flatMap(({ folder }) => declarationFiles(join(folder, "dist")).map((file) => readFileSync(file, "utf8"))),
  );
  for (const each of packages) {
    for (const entry of entriesOf(each)) {
      if (!existsSync(entry)) return [`${relative(root, entry)} does not exist: npm run build comes first`];
      const byFile = new Map();
      for (const [name, file] of exportedNames(entry)) byFile.set(file, [...(byFile.get(file) ?? []), name]);
      for (const [file, names] of byFile) {
        for (const bare of bareNames(readFileSync(file, "utf8"), names, contracts)) {
          faults.add(
            `${relative(root, file)
              .replace("/dist/", "/src/")
              .replace(/\.d\.ts$/, ".ts")}: ${bare} has no docstring`,
          );
        }
      }
    }
  }
  return [...faults];
}
