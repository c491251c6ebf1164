// Five pages of the built site in Chromium: npm run test:docs.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Page } from "playwright-core";
import { TestBrowser } from "../../../web/test/support/browser.ts";
import { CONTRASTS } from "../../../web/test/support/contrast.ts";
import { type ServedSite, serveSite } from "../../site/serve.ts";

const PAGES = [
  "",
  "guides/from-ws.html",
  "api/connection.html",
  "performance.html",
  "reference/tungstate/interfaces/ConnectOptions.html",
];

const browser = TestBrowser.forTests();
let site: ServedSite;
before(async () => {
  site = await serveSite();
});
after(() => site[Symbol.asyncDispose]());

/** Opens a page of the site. Returns it with the requests to other hosts and those that failed. */
async function open(path: string, options: Parameters<TestBrowser["tab"]>[1] = {}): Promise<[Page, string[]]> {
  const page = await browser.tab("about:blank", options);
  const wrong: string[] = [];
  page.on("request", (request) => {
    if (!request.url().startsWith(site.url) && !request.url().startsWith("data:")) wrong.push(request.url());
  });
  page.on("response", (response) => {
    if (!response.ok()) wrong.push(`${response.status()} ${response.url()}`);
  });
  await page.goto(site.url + path);
  await page.waitForLoadState("networkidle");
  return [page, wrong];
}

for (const path of PAGES) {
  describe(`/${path}`, () => {
    for (const colorScheme of ["light", "dark"] as const) {
      test(`${colorScheme}: text has a contrast of at least 4.5 to 1, and nothing comes from other hosts`, async () => {
        const [page, wrong] = await open(path, { colorScheme });
        const all = (await page.evaluate(CONTRASTS)) as [string, number][];
        assert.ok(all.length > 20, String(all.length));
        assert.deepEqual(
          all.filter(([, contrast]) => contrast < 4.5),
          [],
        );
        assert.equal(
          await page.evaluate(`document.documentElement.classList.contains("dark")`),
          colorScheme === "dark",
        );
        assert.deepEqual(wrong, []);
      });
    }

    test("headings are one h1, and no level is left out", async () => {
      const [page] = await open(path);
      const levels = (await page.evaluate(`[...document.querySelectorAll("h1, h2, h3, h4, h5, h6")]
        .filter((element) => element.closest(".VPContent") && element.checkVisibility() && element.closest(".VPDocAside") === null)
        .map((element) => Number(element.tagName[1]))`)) as number[];
      assert.equal(levels.filter((level) => level === 1).length, 1);
      levels.forEach((level, at) => assert.ok(level <= (levels[at - 1] ?? 0) + 1, `${at}: ${levels.join(" ")}`));
    });

    test("nothing is wider than a phone, other than what scrolls itself", async () => {
      const [page] = await open(path, { viewport: { width: 360, height: 640 } });
      assert.equal(await page.evaluate("document.documentElement.scrollWidth"), 360);
    });
  });
}

describe("by keyboard", () => {
  test("the first stop skips to the content", async () => {
    const [page] = await open("guides/tls.html");
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate("document.activeElement.textContent.trim()"), "Skip to content");
    await page.keyboard.press("Enter");
    assert.equal(await page.evaluate(`document.activeElement.id`), "VPContent");
  });

  test("the search finds a page and opens it", async () => {
    const [page, wrong] = await open("");
    await page.keyboard.press("Control+k");
    const box = page.getByRole("searchbox");
    await box.waitFor();
    await page.keyboard.type("maxWriteBufferSize");
    await page.locator("#localsearch-list .result").first().waitFor();
    await page.keyboard.press("Enter");
    await page.waitForURL(/\.html#/);
    await page.getByText("maxWriteBufferSize").first().waitFor();
    assert.deepEqual(wrong, []);
  });

  test("the appearance can be changed, and stays on the next page", async () => {
    const [page] = await open("guides/tls.html", { colorScheme: "light" });
    const isDark = () => page.evaluate(`document.documentElement.classList.contains("dark")`);
    const control = page.locator(".VPNavBarAppearance button");
    await control.focus();
    await page.keyboard.press("Space");
    assert.equal(await isDark(), true);
    await page.goto(`${site.url}hub.html`);
    assert.equal(await isDark(), true);
  });

  test("all controls have a name, and focus can be seen", async () => {
    const [page] = await open("api/connection.html");
    const unnamed = (await page.evaluate(`[...document.querySelectorAll("a, button, input")]
      .filter((element) => element.checkVisibility() && !element.closest("[aria-hidden=true]"))
      .filter((element) => (element.getAttribute("aria-label") ?? element.title + element.textContent).trim() === "")
      .map((element) => element.outerHTML)`)) as string[];
    assert.deepEqual(unnamed, []);
    const hidden: string[] = [];
    for (let stop = 0; stop < 25; stop++) {
      await page.keyboard.press("Tab");
      const [name, outline] = (await page.evaluate(`(() => {
        const element = document.activeElement;
        const style = getComputedStyle(element);
        return [element.outerHTML.slice(0, 80), style.outlineStyle !== "none" || style.boxShadow !== "none"];
      })()`)) as [string, boolean];
      if (!outline) hidden.push(name);
    }
    assert.deepEqual(hidden, []);
  });
});
