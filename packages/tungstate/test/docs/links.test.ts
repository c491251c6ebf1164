import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { checkScripts, readPage, root } from "./support/pages.ts";

const pages = [
  ...[
    "README.md",
    "CONTRIBUTING.md",
    "CODE_OF_CONDUCT.md",
    "CHANGELOG.md",
    "conformance/README.md",
    "hardening/catalogue/README.md",
    "hardening/fuzz/README.md",
  ],
  ...["protocol", "tungstate", "hub", "cli", "create-tungstate"].map((name) => `packages/${name}/README.md`),
  ...readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".md"))
    .map((file) => `docs/${file}`),
].filter((page) => existsSync(join(root, page)));

/** Returns the anchors of a page's headings on GitHub. */
function anchorsOf(page: string): string[] {
  return [...readPage(page).matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

for (const page of pages) {
  test(`${page}: links resolve, and scripts exist`, () => {
    const text = readPage(page).replace(/^```.*?^```$/gms, "");
    for (const [, target = ""] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const [path = "", anchor] = target.split("#");
      const file = path === "" ? page : join(dirname(page), path);
      assert.ok(existsSync(join(root, file)), `${target}: there is no such file`);
      if (anchor !== undefined) assert.ok(anchorsOf(file).includes(anchor), `${target}: there is no such heading`);
    }
    checkScripts(readPage(page));
  });
}
