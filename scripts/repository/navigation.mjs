// Every page of the documentation is in the navigation of the site.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { filesIn, readPackages, root } from "../workspaces.mjs";

const NAVIGATION = "apps/docs/navigation.json";

/** Returns the paths of the pages of a navigation, in its order. */
function pagesIn(sections) {
  return sections.flatMap(({ pages = [], groups = [] }) => [
    ...pages.map((entry) => (typeof entry === "string" ? entry : entry.page)),
    ...pagesIn(groups),
  ]);
}

/**
 * Returns the pages that a navigation lacks, repeats, or that do not exist. `required` are the pages
 * that it must have; it may have others.
 */
export function navigationFaults(sections, required, exists) {
  const listed = pagesIn(sections);
  return [
    ...required
      .filter((page) => !listed.includes(page))
      .map((page) => `${page} is in no section of ${NAVIGATION}: add it, so that the site has it`),
    ...listed
      .filter((page, at) => listed.indexOf(page) !== at)
      .map((page) => `${page} is in ${NAVIGATION} more than once`),
    ...listed.filter((page) => !exists(page)).map((page) => `${NAVIGATION} has ${page}, which does not exist`),
  ];
}

/** Checks that the site has all of docs/ and the README of each package. */
export function checkNavigation() {
  const required = [...filesIn("docs")].filter((file) => file.endsWith(".md"));
  const readmes = readPackages().map(({ folder }) => `${folder.slice(root.length)}/README.md`);
  const sections = JSON.parse(readFileSync(join(root, NAVIGATION), "utf8"));
  const exists = (page) => existsSync(join(root, page));
  return navigationFaults(sections, [...required, ...readmes.filter(exists)], exists);
}
