import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { pagesFolder, publicFolder, repository } from "./folders.ts";
import { homePage } from "./home.ts";
import { replaceTargets } from "./markdown.ts";
import { type Page, pagesOf, type Section } from "./navigation.ts";

/** Folder of the site with files of the repository that pages link to, as plain text. */
const FILES = "files";

/** Files beside a page that are part of it. */
const PICTURE = /\.(?:svg|png|webp)$/;

/** Writes a file and the folders above it. */
function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

function copy(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(from, to);
}

/** Writes the Markdown of all pages of the site to `pagesFolder`, with the files that they link to. */
export class Assembly {
  private readonly pages: ReadonlyMap<string, Page>;

  constructor(sections: readonly Section[]) {
    this.pages = new Map(sections.flatMap(pagesOf).map((page) => [page.source, page]));
  }

  /** Returns the texts by the path of their page. */
  write(): Map<string, string> {
    rmSync(pagesFolder, { recursive: true, force: true });
    mkdirSync(publicFolder, { recursive: true });
    copy(join(repository, "apps/web/public/favicon.svg"), join(publicFolder, "icon.svg"));
    const texts = new Map<string, string>();
    for (const page of this.pages.values()) {
      const text = this.toSite(page, readFileSync(join(repository, page.source), "utf8"));
      texts.set(page.path, text);
      write(join(pagesFolder, page.path), page.path === "index.md" ? homePage(text) : text);
    }
    return texts;
  }

  /** Replaces the links of a page by links within the site. */
  private toSite({ source, path }: Page, text: string): string {
    return replaceTargets(text, (target, anchor) => {
      const file = posix.join(posix.dirname(source), target).replace(/\/$/, "");
      const page = this.pages.get(file) ?? this.pages.get(`${file}/README.md`);
      return relativePath(path, page?.path ?? this.copyFile(file, source)) + anchor;
    });
  }

  /** Copies a file of the repository into the site, and returns its path there. */
  private copyFile(file: string, source: string): string {
    const from = join(repository, file);
    if (!existsSync(from) || !statSync(from).isFile()) {
      throw new Error(`${source} links to ${file}, which is neither a page of navigation.json nor a file`);
    }
    if (PICTURE.test(file)) {
      const path = file.replace(/^docs\//, "");
      copy(from, join(pagesFolder, path));
      return path;
    }
    const path = posix.join(FILES, `${file}.txt`);
    copy(from, join(publicFolder, path));
    return path;
  }
}

/** Returns a relative link between two paths of the site. */
function relativePath(from: string, to: string): string {
  const path = posix.relative(posix.dirname(from), to);
  return path.startsWith(".") ? path : `./${path}`;
}
