import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { output, pagesFolder } from "./folders.ts";
import { firstSentence, headingOf, summaryOf } from "./markdown.ts";
import { pagesOf, type Section } from "./navigation.ts";
import { REFERENCE } from "./entries.ts";

const FRONT_MATTER = /^---\n[^]*?\n---\n+/;

/** The Markdown of the hand-written pages by path. */
type Texts = ReadonlyMap<string, string>;

/**
 * Writes what programs read beside the built site: each page as Markdown beside its HTML, the
 * pictures that it shows, `llms.txt` with a link to each page, and `llms-full.txt` with the text of
 * all hand-written pages.
 */
export function writeTexts(sections: readonly Section[], texts: Texts): void {
  for (const file of readdirSync(pagesFolder, { recursive: true, encoding: "utf8" })) {
    if (file.startsWith("public/") || !/\.(?:md|svg|png|webp)$/.test(file)) continue;
    const to = join(output, file);
    mkdirSync(dirname(to), { recursive: true });
    if (!file.endsWith(".md")) copyFileSync(join(pagesFolder, file), to);
    else writeFileSync(to, texts.get(file) ?? readFileSync(join(pagesFolder, file), "utf8").replace(FRONT_MATTER, ""));
  }
  writeFileSync(join(output, "llms.txt"), index(sections, texts));
  writeFileSync(join(output, "llms-full.txt"), everything(sections, texts));
}

/** Returns the contents of `llms.txt` (llmstxt.org). */
function index(sections: readonly Section[], texts: Texts): string {
  const lists = sections.map((section) => {
    const lines = pagesOf(section).map(({ path, title }) => {
      const text = texts.get(path) ?? "";
      return `- [${title ?? headingOf(text).replaceAll("`", "")}](${path}): ${firstSentence(summaryOf(text))}`;
    });
    return `## ${section.title}\n\n${lines.join("\n")}\n`;
  });
  return [
    "# Tungstate\n",
    `> ${summaryOf(texts.get("index.md") ?? "")}\n`,
    "All pages below are in one file: [llms-full.txt](llms-full.txt).\n",
    ...lists,
    "## Optional\n",
    `- [Reference](${REFERENCE}/index.md): one page for each export, from the docstrings\n`,
  ].join("\n");
}

/** Returns all hand-written pages as one text, each below the path of its page. */
function everything(sections: readonly Section[], texts: Texts): string {
  return sections
    .flatMap(pagesOf)
    .map(({ path }) => `<!-- ${path} -->\n\n${(texts.get(path) ?? "").trim()}\n`)
    .join("\n");
}
