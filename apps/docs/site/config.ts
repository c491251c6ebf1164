import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { DefaultTheme, UserConfig } from "vitepress";
import { output, pagesFolder, workspace } from "./folders.ts";
import { anchorOf, headingOf } from "./markdown.ts";
import { type Group, pagesOf, readNavigation, type Page, type Section } from "./navigation.ts";
import { publicEntries, REFERENCE } from "./entries.ts";

function linkOf({ path }: Page): string {
  return `/${path.replace(/(?:index)?\.md$/, "")}`;
}

function titleOf(page: Page): string {
  return page.title ?? headingOf(readFileSync(join(pagesFolder, page.path), "utf8")).replaceAll("`", "");
}

function toItems({ pages }: Group): DefaultTheme.SidebarItem[] {
  return pages.map((page) => ({ text: titleOf(page), link: linkOf(page) }));
}

/** Returns the modules of the pages that TypeDoc writes. */
function referenceItems(): DefaultTheme.SidebarItem {
  const items = publicEntries().map(({ name }) => ({ text: name, link: `/${REFERENCE}/${name}/` }));
  return { text: "Every export", collapsed: true, items };
}

function toSidebar(section: Section): DefaultTheme.SidebarItem {
  const groups = section.groups.map((group) => ({ text: group.title, collapsed: true, items: toItems(group) }));
  const generated = section.title === "API" ? [referenceItems()] : [];
  return {
    text: section.title,
    collapsed: section.title !== "Start",
    items: [...toItems(section), ...groups, ...generated],
  };
}

function toNavigation(section: Section): DefaultTheme.NavItem {
  const [first] = pagesOf(section);
  if (first === undefined) throw new Error(`the section ${section.title} has no pages`);
  return { text: section.title, link: linkOf(first) };
}

/** Returns the configuration of VitePress. */
export function siteConfig(base: string): UserConfig<DefaultTheme.Config> {
  const sections = readNavigation();
  return {
    base,
    title: "Tungstate",
    description: "The WebSocket stack for TypeScript",
    lang: "en",
    srcDir: pagesFolder,
    outDir: output,
    cacheDir: join(workspace, "node_modules/.cache/vitepress"),
    // each page is a file, which every host of static files can serve
    cleanUrls: false,
    metaChunk: true,
    lastUpdated: false,
    // the search index is larger than 500 kB; pages load it with the first search
    vite: { logLevel: "warn", build: { chunkSizeWarningLimit: 2_000 } },
    head: [["link", { rel: "icon", type: "image/svg+xml", href: `${base}icon.svg` }]],
    markdown: {
      anchor: { slugify: anchorOf },
      languageAlias: { cjs: "javascript", mjs: "javascript" },
      headers: { slugify: anchorOf },
      theme: { light: "github-light-high-contrast", dark: "github-dark-high-contrast" },
    },
    themeConfig: {
      nav: sections.filter(({ title }) => title !== "Project").map(toNavigation),
      sidebar: sections.map(toSidebar),
      outline: { level: [2, 3], label: "On this page" },
      search: { provider: "local" },
      docFooter: { prev: "Previous", next: "Next" },
      footer: { message: "MIT licence" },
      externalLinkIcon: false,
    },
  };
}
