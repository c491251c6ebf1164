// Links, anchors, code blocks and texts of the built site: npm run test:docs.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { describe, test } from "node:test";
import { output, pagesFolder } from "../../site/folders.ts";
import { pagesOf, readNavigation } from "../../site/navigation.ts";

const files = readdirSync(output, { recursive: true, encoding: "utf8" });
const html = new Map(
  files.filter((file) => file.endsWith(".html")).map((file) => [file, readFileSync(join(output, file), "utf8")]),
);
const pages = readNavigation().flatMap(pagesOf);

const CHARACTERS: Readonly<Record<string, string>> = { lt: "<", gt: ">", amp: "&", quot: '"', "#39": "'", "#x27": "'" };

function decode(text: string): string {
  return text
    .replace(/&([\w#]+);/g, (whole, name: string) => {
      const code = /^#x([0-9a-f]+)$/i.exec(name)?.[1];
      return CHARACTERS[name] ?? (code === undefined ? whole : String.fromCodePoint(Number.parseInt(code, 16)));
    })
    .replaceAll("\u00a0", " ");
}

const idsOf = new Map<string, Set<string>>();
function ids(file: string): Set<string> {
  let found = idsOf.get(file);
  if (found === undefined) {
    found = new Set([...(html.get(file) ?? "").matchAll(/\sid="([^"]+)"/g)].map(([, id = ""]) => decode(id)));
    idsOf.set(file, found);
  }
  return found;
}

/** Returns what is wrong with a link in a file of the site, or undefined. */
function fault(from: string, target: string): string | undefined {
  if (/^(?:https?:|mailto:|data:)/.test(target)) return undefined;
  const [link = "", anchor] = target.split("#");
  const path = decodeURIComponent(link);
  const absolute = path.startsWith("/") ? path.slice(1) : posix.join(posix.dirname(from), path);
  const folder = absolute === "" || absolute.endsWith("/");
  const file = path === "" ? from : posix.normalize(folder ? `${absolute}index.html` : absolute);
  if (!existsSync(join(output, file))) return `${from}: ${target}: there is no ${file}`;
  if (anchor === undefined || anchor === "" || !file.endsWith(".html")) return undefined;
  return ids(file).has(decodeURIComponent(anchor)) ? undefined : `${from}: ${target}: there is no such heading`;
}

test("all pages of the navigation are built", () => {
  assert.ok(pages.length > 60);
  assert.deepEqual(
    pages.map(({ path }) => path.replace(/\.md$/, ".html")).filter((path) => !html.has(path)),
    [],
  );
});

test("links, pictures, scripts and anchors of all pages exist", () => {
  const faults = [...html].flatMap(([file, text]) => {
    const markup = text.replace(/<pre[^]*?<\/pre>/g, "");
    const targets = [...markup.matchAll(/<[a-z][^>]*?\s(?:href|src)="([^"]*)"/g)].map(([, target = ""]) =>
      decode(target),
    );
    assert.ok(targets.length > 2, file);
    return targets.map((target) => fault(file, target)).filter((each) => each !== undefined);
  });
  assert.deepEqual([...new Set(faults)], []);
});

test("pages load nothing from other hosts", () => {
  for (const [file, text] of html) {
    const loaded = [...text.matchAll(/<(?:script|link|img|iframe|source)\b[^>]*?\s(?:href|src)="(\w+:[^"]*)"/g)];
    assert.deepEqual(
      loaded.map(([, target = ""]) => target).filter((target) => !target.startsWith("data:")),
      [],
      file,
    );
  }
  for (const file of files.filter((each) => each.endsWith(".css"))) {
    assert.doesNotMatch(readFileSync(join(output, file), "utf8"), /url\(["']?(?:https?:)?\/\//, file);
  }
});

describe("code blocks", () => {
  for (const { path } of pages) {
    test(`${path}: the page shows the code of its source`, () => {
      const source = readFileSync(join(pagesFolder, path), "utf8");
      const written = [...source.matchAll(/^```\w*.*?\n(.*?)^```$/gms)].map(([, code = ""]) => code.trimEnd());
      const page = html.get(path.replace(/\.md$/, ".html")) ?? "";
      const shown = [...page.matchAll(/<pre class="shiki[^>]*><code[^>]*>([^]*?)<\/code><\/pre>/g)].map(
        ([, code = ""]) => decode(code.replace(/<[^>]+>/g, "")).trimEnd(),
      );
      assert.deepEqual(shown, written);
    });
  }
});

describe("Markdown and llms.txt", () => {
  test("each page is Markdown beside its HTML", () => {
    const missing = [...html.keys()].filter((file) => !files.includes(file.replace(/\.html$/, ".md")));
    assert.deepEqual(missing, ["404.html"]);
    for (const file of html.keys()) {
      if (file !== "404.html")
        assert.match(readFileSync(join(output, file.replace(/html$/, "md")), "utf8"), /^# /m, file);
    }
  });

  test("links of the Markdown pages exist", () => {
    const faults = files
      .filter((file) => file.endsWith(".md"))
      .flatMap((file) => {
        const text = readFileSync(join(output, file), "utf8")
          .replace(/^```.*?^```$/gms, "")
          .replace(/`[^`\n]*`/g, "");
        return [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = ""]) => fault(file, target.split("#")[0] ?? ""));
      });
    assert.deepEqual([...new Set(faults.filter((each) => each !== undefined))], []);
  });

  test("llms.txt links to every page, with a description", () => {
    const text = readFileSync(join(output, "llms.txt"), "utf8");
    assert.match(text, /^# Tungstate\n\n> .+\.\n/);
    const linked = [...text.matchAll(/^- \[.+?\]\((\S+\.md)\): \S.*$/gm)].map(([, path = ""]) => path);
    assert.deepEqual(
      linked.slice(0, -1),
      pages.map(({ path }) => path),
    );
    for (const path of linked) assert.ok(files.includes(path), path);
  });

  test("llms-full.txt has the text of every page", () => {
    const text = readFileSync(join(output, "llms-full.txt"), "utf8");
    for (const { path } of pages) {
      assert.ok(text.includes(`<!-- ${path} -->\n\n${readFileSync(join(output, path), "utf8").trim()}`), path);
    }
  });
});
