import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { Application } from "typedoc";
import { publicEntries, REFERENCE } from "./entries.ts";
import { pagesFolder, repository, workspace } from "./folders.ts";

/**
 * The search has the hand-written pages only: they name every public member, too, and a search that
 * finds everything twice is of less use.
 */
const FRONT_MATTER = "---\nsearch: false\neditLink: false\n---\n\n";

/** Returns the name that TypeDoc gives to the module of a file. */
function nameInTypeDoc(file: string): string {
  return relative(join(repository, "packages"), file).replace(/(?:\/index)?\.ts$/, "");
}

/** Writes one page for each export of the packages. */
export async function writeReference(): Promise<void> {
  const entries = publicEntries();
  const out = join(pagesFolder, REFERENCE);
  const app = await Application.bootstrapWithPlugins({
    plugin: ["typedoc-plugin-markdown"],
    entryPoints: entries.map(({ file }) => file),
    tsconfig: join(workspace, "tsconfig.reference.json"),
    // the repository's own compiler has checked the types
    skipErrorChecking: true,
    excludeInternal: true,
    excludePrivate: true,
    excludeExternals: true,
    disableSources: true,
    disableGit: true,
    readme: "none",
    name: "Reference",
    logLevel: "Warn",
    validation: { notExported: false, invalidLink: true, notDocumented: false },
    // options of the plugin, which the types of TypeDoc do not contain
    ...{
      out,
      hidePageHeader: true,
      entryFileName: "index",
      parametersFormat: "table",
      interfacePropertiesFormat: "table",
      classPropertiesFormat: "table",
      typeAliasPropertiesFormat: "table",
      enumMembersFormat: "table",
      propertyMembersFormat: "table",
      tableColumnSettings: { hideInherited: true, hideModifiers: true, hideOverrides: true },
      sanitizeComments: true,
    },
  });
  const project = await app.convert();
  if (project === undefined) throw new Error("TypeDoc could not read the packages");
  const names = new Map(entries.map(({ name, file }) => [nameInTypeDoc(file), name]));
  for (const module of project.children ?? []) {
    const name = names.get(module.name);
    if (name === undefined) throw new Error(`TypeDoc found the module ${module.name}, which is no entry`);
    module.name = name;
  }
  await app.generateOutputs(project);
  if (app.logger.hasErrors() || app.logger.hasWarnings()) throw new Error("TypeDoc found faults in docstrings");
  for (const file of readdirSync(out, { recursive: true, encoding: "utf8" })) {
    if (!file.endsWith(".md")) continue;
    const path = join(out, file);
    writeFileSync(path, FRONT_MATTER + readFileSync(path, "utf8"));
  }
}
