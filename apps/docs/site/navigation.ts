import { readFileSync } from "node:fs";
import { posix } from "node:path";

/** A page of the site, made from a Markdown file of the repository. */
export interface Page {
  /** Path of the file in the repository. */
  readonly source: string;
  /** Path of the page in the site, with `.md`. */
  readonly path: string;
  /** Title in the navigation. Undefined: the heading of the page. */
  readonly title: string | undefined;
}

/** Pages under one heading of the navigation. */
export interface Group {
  readonly title: string;
  readonly pages: readonly Page[];
}

/** A section of the navigation. */
export interface Section extends Group {
  readonly groups: readonly Group[];
}

type Entry = string | { readonly page: string; readonly title: string };

interface Written {
  readonly title: string;
  readonly pages?: readonly Entry[];
  readonly groups?: readonly Written[];
}

/**
 * Returns the path of a page in the site: `docs/guides/tls.md` is `guides/tls.md`, and a README.md
 * is the index of its folder.
 */
export function pathInSite(source: string): string {
  const path = source.replace(/^docs\//, "").toLowerCase();
  return posix.basename(path) === "readme.md" ? posix.join(posix.dirname(path), "index.md") : path;
}

function toPages(entries: readonly Entry[] = []): Page[] {
  return entries.map((entry) => {
    const source = typeof entry === "string" ? entry : entry.page;
    return { source, path: pathInSite(source), title: typeof entry === "string" ? undefined : entry.title };
  });
}

/** Returns the sections in `navigation.json`. */
export function readNavigation(): Section[] {
  const written = JSON.parse(readFileSync(new URL("../navigation.json", import.meta.url), "utf8")) as Written[];
  return written.map(({ title, pages, groups = [] }) => ({
    title,
    pages: toPages(pages),
    groups: groups.map((group) => ({ title: group.title, pages: toPages(group.pages) })),
  }));
}

/** Returns all pages of a section in the order of the navigation. */
export function pagesOf({ pages, groups }: Section): Page[] {
  return [...pages, ...groups.flatMap((group) => group.pages)];
}
