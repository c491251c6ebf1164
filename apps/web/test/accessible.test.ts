import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Page } from "playwright-core";
import { becomes, connected, focused, goTo, people, say, sees, TestBrowser, titled } from "./support/browser.ts";
import { CONTRASTS } from "./support/contrast.ts";
import { Served } from "./support/server.ts";

const browser = TestBrowser.forTests();
const server = Served.forTests();

test("the page has landmarks, names and live regions", async () => {
  const page = await browser.tab(server.broadcast);
  await connected(page);
  await titled(page, "Broadcast – Tungstate");
  assert.equal(await page.locator("html").getAttribute("lang"), "en");
  for (const role of ["banner", "main", "complementary"] as const) assert.equal(await page.getByRole(role).count(), 1);
  assert.equal(
    await page
      .getByRole("heading", { level: 1 })
      .textContent()
      .then((text) => text?.trim()),
    "Tungstate",
  );
  const places = page.getByRole("navigation", { name: "Places" });
  assert.deepEqual(await places.getByRole("link").allInnerTexts(), ["lobby", "Broadcast", "Live statistics"]);
  assert.equal(await places.getByRole("link", { name: "Broadcast" }).getAttribute("aria-current"), "page");
  const log = page.getByRole("log", { name: "Messages" });
  assert.equal(await log.getAttribute("tabindex"), "0");
  // announced: messages (a log is polite by default), the state of the connection, errors in a
  // message
  assert.equal(await page.locator("#status-text").getAttribute("role"), "status");
  assert.equal(await page.locator("#hint").getAttribute("role"), "status");
  // not announced: the countdown
  assert.equal(await page.getByRole("timer", { includeHidden: true }).getAttribute("aria-live"), "off");
  await page.getByRole("textbox", { name: "Message" }).waitFor();
  await page.getByRole("button", { name: "Send" }).waitFor();

  await say(page, "a");
  await say(page, "b");
  await sees(page, "b");
  const items = await page.getByRole("log").getByRole("listitem").allInnerTexts();
  assert.equal(items.length, 2);
  // grouped messages name their author for screen readers only
  assert.deepEqual(await page.locator(".message .name").allTextContents(), ["You", "You"]);

  const unnamed =
    (await page.evaluate(`[...document.querySelectorAll("button, input, textarea, [role=log], aside, dialog, svg")]
    .filter((element) => {
      if (element.closest("[aria-hidden=true]")) return false;
      const label = element.getAttribute("aria-label")
        ?? document.getElementById(element.getAttribute("aria-labelledby"))?.textContent
        ?? (element.labels?.[0] ?? element).textContent;
      return label.trim() === "" && !element.hidden;
    })
    .map((element) => element.outerHTML)`)) as string[];
  assert.deepEqual(unnamed, []);
  const doubled = await page.evaluate(
    `[...document.querySelectorAll("[id]")].map(({ id }) => id).filter((id, at, all) => all.indexOf(id) !== at)`,
  );
  assert.deepEqual(doubled, []);
});

test("all places can be reached by keyboard", async () => {
  const page = await browser.tab(server.url);
  await people(page, 1);
  await focused(page, "text");
  await page.getByRole("link", { name: "lobby" }).focus();
  await page.keyboard.press("Tab");
  await focused(page, "room-name");
  await page.keyboard.type("by keyboard");
  await page.keyboard.press("Enter");
  await people(page, 1);
  await titled(page, "by keyboard – Tungstate");
  await page.locator("#text:focus").waitFor();
  await page.getByRole("textbox", { name: "Message to by keyboard" }).waitFor();
  await page.getByRole("link", { name: "Live statistics" }).focus();
  assert.notEqual(await page.evaluate("getComputedStyle(document.activeElement).outlineStyle"), "none");
  await page.keyboard.press("Enter");
  await page.locator("#live-title:focus").waitFor();
  assert.equal(await page.getByRole("main").count(), 1);
  await page.getByText("One node, the last two minutes.").waitFor();
  // each plot has a text alternative
  assert.equal(await page.getByRole("img", { name: /, the last two minutes\. .+: between/ }).count(), 6);

  // a window too narrow for the column
  await page.setViewportSize({ width: 320, height: 640 });
  await page.getByRole("button", { name: "Server: go to another place" }).focus();
  await page.keyboard.press("Enter");
  await page.getByRole("navigation", { name: "Places" }).waitFor();
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await people(page, 1);
  await page.getByRole("navigation", { name: "Places" }).waitFor({ state: "hidden" });
  await titled(page, "lobby – Tungstate");
});

test("all controls work by keyboard", async () => {
  const page = await browser.tab(server.broadcast);
  await connected(page);
  await focused(page, "text");
  await page.keyboard.type("two");
  await page.keyboard.press("Shift+Enter");
  await page.keyboard.type("lines");
  await page.keyboard.press("Enter");
  await sees(page, "two\nlines");
  assert.equal(await page.getByRole("textbox", { name: "Message" }).inputValue(), "");
  await page.keyboard.press("Enter");
  assert.equal(await page.locator(".message").count(), 1);

  await page.keyboard.press("Shift+Tab");
  await focused(page, "name-button");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog", { name: "Your name" }).waitFor();
  await focused(page, "name-input");
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "hidden" });
  await focused(page, "name-button");
  await page.keyboard.press("Enter");
  await page.keyboard.type("Grace");
  await page.keyboard.press("Tab");
  await focused(page, "name-cancel");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  assert.equal(await page.locator("#name").textContent(), "Grace");
  await focused(page, "name-button");

  await page.keyboard.press("Shift+Tab");
  await focused(page, "log");
  assert.notEqual(await page.evaluate("getComputedStyle(log).outlineStyle"), "none");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  await page.keyboard.type("sent by the button");
  await page.keyboard.press("Tab");
  await focused(page, "send");
  await page.keyboard.press("Space");
  await sees(page, "sent by the button");
  await focused(page, "text");
});

test("the list of people opens by keyboard on a phone", async () => {
  const page = await browser.tab(server.broadcast, { viewport: { width: 360, height: 640 } });
  await people(page, 1);
  const button = page.getByRole("button", { name: "Only you are here" });
  await button.focus();
  await page.keyboard.press("Enter");
  const panel = page.getByRole("complementary", { name: "Only you are here" });
  await panel.waitFor();
  await page.keyboard.press("Escape");
  await panel.waitFor({ state: "hidden" });
  await focused(page, "people-button");
  // without a connection the list is unknown
  await button.click();
  await page.setViewportSize({ width: 1280, height: 640 });
  await becomes(() => page.evaluate(`people.matches(":popover-open")`), false, "the panel is a popover");
  assert.equal(await panel.isVisible(), true);
  assert.equal(await button.isVisible(), false);
});

test("a message that is too long stays in the field, with a note by how much", async () => {
  const page = await browser.tab(server.broadcast);
  await connected(page);
  const box = page.getByRole("textbox", { name: "Message" });
  await box.fill("x".repeat(4_001));
  await page.getByText("1 character too long.").waitFor();
  assert.equal(await page.getByRole("button", { name: "Send" }).isDisabled(), true);
  assert.equal(await box.getAttribute("aria-invalid"), "true");
  await page.keyboard.press("Enter");
  assert.equal(await page.locator(".message").count(), 0);
  await box.fill("x".repeat(4_000));
  await page.getByText("0 characters left.").waitFor();
  await page.keyboard.press("Enter");
  await sees(page, "x".repeat(4_000));
});

test("nothing moves with prefers-reduced-motion", async () => {
  const page = await browser.tab(server.url, { reducedMotion: "reduce" });
  await people(page, 1);
  await say(page, "still");
  const durations = await page.evaluate(
    `[...document.querySelectorAll("*")].map((element) => Number.parseFloat(getComputedStyle(element).animationDuration))`,
  );
  assert.ok((durations as number[]).every((seconds) => seconds < 0.001));
});

describe("contrast and size", () => {
  for (const colorScheme of ["light", "dark"] as const) {
    test(`${colorScheme}: text has a contrast of at least 4.5 to 1`, async () => {
      await using own = await Served.start();
      const [page, other] = await Promise.all([
        browser.tab(own.broadcast, { colorScheme }),
        browser.tab(own.broadcast),
      ]);
      await people(page, 2);
      await say(page, "mine");
      await say(other, "theirs");
      await sees(page, "theirs");
      // each colour that a name can have
      await page.evaluate(`(() => {
        const name = document.querySelector(".other .name");
        for (let hue = 0; hue < 12; hue++) {
          const copy = name.cloneNode(true);
          copy.dataset.hue = hue;
          name.after(copy);
        }
      })()`);
      const background = (await page.evaluate("getComputedStyle(document.body).backgroundColor")) as string;
      const check = async () => {
        const all = (await page.evaluate(CONTRASTS)) as [string, number][];
        assert.ok(all.length >= 20, String(all.length));
        for (const [text, contrast] of all) assert.ok(contrast >= 4.5, `${text}: ${contrast.toFixed(2)}`);
      };
      await check();
      for (const each of [page, other]) await goTo(each, "#/room/lobby", "lobby");
      await people(page, 2);
      await say(other, "in a room");
      await sees(page, "in a room");
      await page.clock.setFixedTime(Date.now()); // the indicator would expire by itself
      await other.getByRole("textbox", { name: "Message" }).pressSequentially("more");
      await page.getByText(/ is typing…$/).waitFor();
      await check();
      await goTo(page, "#/server", "Server");
      await page.getByText("One node, the last two minutes.").waitFor();
      await check();
      await own.stop();
      await page.getByRole("button", { name: "Try now" }).waitFor();
      await check();
      assert.match(background, colorScheme === "light" ? /0\.98/ : /0\.17/);
    });
  }

  for (const width of [320, 360, 768, 1280]) {
    test(`${width} px: nothing overflows, and all controls are large enough`, async () => {
      await using own = await Served.start();
      const viewport = { width, height: 640 };
      const [page, other] = await Promise.all([browser.tab(own.broadcast, { viewport }), browser.tab(own.broadcast)]);
      await people(page, 2);
      await other.getByRole("button", { name: "Change name" }).click();
      await other.getByRole("textbox", { name: "What others see" }).fill("W".repeat(32));
      await other.keyboard.press("Enter");
      await page.getByRole("button", { name: "Change name" }).click();
      await page.getByRole("textbox", { name: "What others see" }).fill("M".repeat(32));
      await fits(page);
      await page.keyboard.press("Enter");
      await fits(page);
      await say(other, "long".repeat(200));
      await say(page, `${"https://example.com/".repeat(10)} ${"word ".repeat(50)}`);
      await say(other, "last");
      await sees(page, "last");
      await fits(page);
      if (width < 960) {
        await page.getByRole("button", { name: "2 people here" }).click();
        await page.getByRole("complementary").waitFor();
        await fits(page);
      }
      await own.stop();
      await page.getByRole("button", { name: "Try now" }).waitFor();
      await fits(page);
      // text at twice the size
      await page.evaluate(`document.documentElement.style.fontSize = "200%"`);
      await fits(page, 0);
    });
  }
});

/**
 * Checks for horizontal scrolling, elements outside the window, and controls smaller than WCAG 2.2
 * §2.5.8 allows.
 */
async function fits(page: Page, least = 24): Promise<void> {
  const found = await page.evaluate(`(() => {
    const wrong = [];
    for (const element of document.querySelectorAll("body, body *")) {
      if (!element.checkVisibility() || element.closest("svg path")) continue;
      const { left, right, width, height } = element.getBoundingClientRect();
      if (width <= 1 || height <= 1) continue;
      if (left < -0.5 || right > innerWidth + 0.5) wrong.push("outside: " + element.outerHTML.slice(0, 80));
      if (element.matches("button, a") && (width < ${least} || height < ${least})) wrong.push("small: " + element.outerHTML);
      if (element.matches(".log, .people, .places, .live, body") && element.scrollWidth > element.clientWidth)
        wrong.push("scrolls: " + element.className);
    }
    const root = document.documentElement;
    if (root.scrollWidth > innerWidth) wrong.push("page scrolls: " + root.scrollWidth);
    return wrong;
  })()`);
  assert.deepEqual(found, []);
}
