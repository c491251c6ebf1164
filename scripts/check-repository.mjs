// Checks the repository beyond the linter: equal versions, licences, lockfile, layers, docstrings,
// module-level state, vocabulary, the navigation of the documentation.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { commandLine } from "./command-line.mjs";
import { versionProblems } from "./release/checks.mjs";
import { checkDocstrings } from "./repository/docstrings.mjs";
import { checkImports } from "./repository/imports.mjs";
import { checkPicture } from "./repository/layers-picture.mjs";
import { checkModuleState } from "./repository/module-state.mjs";
import { checkNavigation } from "./repository/navigation.mjs";
import { checkVocabulary } from "./repository/vocabulary.mjs";
import { readPackages, root } from "./workspaces.mjs";

commandLine({
  command: "npm run check:repository --",
  summary: "Checks versions, licences, the lockfile, layers, docstrings, vocabulary and navigation of the repository.",
});

const read = (path) => readFileSync(path, "utf8");
const wrong = [];
const packages = readPackages();

const [{ manifest: first }] = packages;
wrong.push(...versionProblems(packages));

for (const { folder, manifest } of packages) {
  const licence = join(folder, "LICENSE");
  if (!existsSync(licence) || read(licence) !== read(join(root, "LICENSE"))) {
    wrong.push(`${manifest.name} has no LICENSE file like the repository's`);
  }
}

const locked = JSON.parse(read(join(root, "package-lock.json"))).packages;
for (const [path, { link, optionalDependencies = {}, resolved }] of Object.entries(locked)) {
  if (resolved !== undefined && link !== true) {
    wrong.push(`package-lock.json: ${path} comes from ${resolved}: npm install --omit-lockfile-registry-resolved`);
  }
  // If one is missing, `npm ci` rejects the lockfile. This happens if a registry lacks the version
  // for some platform.
  for (const name of Object.keys(optionalDependencies)) {
    if (!(`node_modules/${name}` in locked || `${path}/node_modules/${name}` in locked)) {
      wrong.push(`package-lock.json: ${path} requires ${name}, which is missing`);
    }
  }
}

wrong.push(...checkImports(), ...checkPicture(), ...checkDocstrings(), ...checkModuleState(), ...checkVocabulary());
wrong.push(...checkNavigation());

// A merge of two changes of the changelog may bring back entries that one of them had rewritten.
const entries = read(join(root, "CHANGELOG.md")).match(/^- .*(?:\n {2}.*)*/gm) ?? [];
for (const entry of entries.filter((each, at) => entries.indexOf(each) !== at)) {
  wrong.push(`CHANGELOG.md: an entry is there twice; remove what a merge brought back: ${entry.split("\n", 1)[0]}`);
}

for (const line of wrong) console.error(line);
if (wrong.length > 0) process.exit(1);
console.log(`${packages.length} packages at version ${first.version}, the lockfile names no registry`);
