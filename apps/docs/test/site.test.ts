import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { repository } from "../site/folders.ts";
import { homePage } from "../site/home.ts";
import { anchorOf, headingOf, replaceTargets, summaryOf } from "../site/markdown.ts";
import { pagesOf, pathInSite, readNavigation } from "../site/navigation.ts";
import { publicEntries } from "../site/entries.ts";

const pages = readNavigation().flatMap(pagesOf);
const read = (path: string): string => readFileSync(join(repository, path), "utf8");

test("each page has a path of its own", () => {
  assert.equal(new Set(pages.map(({ path }) => path)).size, pages.length);
  assert.equal(pathInSite("docs/guides/tls.md"), "guides/tls.md");
  assert.equal(pathInSite("docs/api/README.md"), "api/index.md");
  assert.equal(pathInSite("packages/cli/README.md"), "packages/cli/index.md");
  assert.equal(pathInSite("README.md"), "index.md");
  assert.equal(pathInSite("SECURITY.md"), "security.md");
});

for (const { source } of pages) {
  test(`${source} has one title, and begins with a paragraph`, () => {
    const text = read(source);
    assert.equal(text.replace(/^```.*?^```$/gms, "").match(/^# .+$/gm)?.length, 1);
    assert.match(text, /^# /);
    assert.match(summaryOf(text), /\w.*[.:]$/);
  });
}

test("the reference has the public entries of the packages", () => {
  const names = publicEntries().map(({ name }) => name);
  assert.ok(names.includes("tungstate") && names.includes("tungstate/web") && names.includes("@tungstate/hub/redis"));
  assert.ok(!names.some((name) => name.includes("internal") || name.includes("package.json")));
  for (const { file } of publicEntries()) assert.ok(readFileSync(file, "utf8").includes("export"), file);
});

describe("Markdown", () => {
  test("links to files are replaced, other links and code are not", () => {
    const text = "[a](b.md#c) ![d](e.svg) [f](https://g/) [h](#i)\n\n```md\n[a](b.md)\n```\n";
    assert.equal(
      replaceTargets(text, (path, anchor) => `<${path}|${anchor}>`),
      "[a](<b.md|#c>) ![d](<e.svg|>) [f](https://g/) [h](#i)\n\n```md\n[a](b.md)\n```\n",
    );
  });

  test("the summary is the first paragraph in plain text", () => {
    const text =
      "# `Title`\n\nExported by `tungstate`.\n\n```sh\nnpm run x\n```\n\nOne [link](a.md)\nand more.\n\nSecond.\n";
    assert.equal(headingOf(text), "`Title`");
    assert.equal(summaryOf(text), "One link and more.");
  });

  test("anchors are those of repository hosts", () => {
    assert.equal(anchorOf("`connection.ping(payload?)`"), "connectionpingpayload");
    assert.equal(anchorOf("When the application does not read"), "when-the-application-does-not-read");
    assert.equal(anchorOf("A – B, C"), "a--b-c");
  });

  test("the start page has the first sentence of README.md in its banner, and the rest below", () => {
    const page = homePage("# Name\n\nWhat\nit [is](a). More\nof it.\n\n## Next\n");
    const [, matter = "", body] = /^---\n(.*)\n---\n\n([^]*)$/.exec(page) ?? [];
    assert.deepEqual((JSON.parse(matter) as { hero: object }).hero, {
      ...(JSON.parse(matter) as { hero: object }).hero,
      name: "Name",
      tagline: "What it is.",
    });
    assert.equal(body, "More\nof it.\n\n## Next\n");
  });
});
