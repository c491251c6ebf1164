// Rooms of the hub, in several tabs.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Page } from "playwright-core";
import {
  becomes,
  connected,
  deliver,
  eventually,
  focused,
  people,
  say,
  sees,
  TestBrowser,
  texts,
  titled,
} from "./support/browser.ts";
import { API_FLAGS, line, lines, publish } from "./support/outside.ts";
import { Served } from "./support/server.ts";

const browser = TestBrowser.forTests();
const server = Served.forTests(...API_FLAGS);

/** Returns the name of a room used by one test only. */
const at = (room: string, of: Served = server): string => `${of.url}/#/room/${room}`;

const names = (page: Page): Promise<string[]> => page.locator("#people-list .name").allTextContents();
const typing = (page: Page): Promise<string> => page.locator("#typing").innerText();
const types = (page: Page, text: string | RegExp): Promise<string> =>
  eventually(
    () => typing(page),
    (shown) => (typeof text === "string" ? shown === text : text.test(shown)),
    "who is typing",
  );

test("the page opens in the lobby; messages appear in all tabs once, and presence is updated", async () => {
  const one = await browser.tab(server.url);
  await people(one, 1);
  await titled(one, "lobby – Tungstate");
  const other = await browser.tab(server.url);
  await Promise.all([people(one, 2), people(other, 2)]);
  const third = await browser.tab(server.url);
  await Promise.all([one, other, third].map((page) => people(page, 3)));
  const [mine, theirs] = [await one.locator("#name").innerText(), await other.locator("#name").innerText()];
  assert.equal((await names(one))[0], mine);
  assert.ok((await names(one)).includes(theirs));

  await say(one, "hello from one");
  await sees(other, "hello from one");
  await say(other, "hello from the other");
  await sees(one, "hello from the other");
  for (const page of [one, other, third]) {
    await sees(page, "hello from the other");
    assert.deepEqual(await texts(page), ["hello from one", "hello from the other"]);
  }
  assert.equal(await one.locator(".own .text").innerText(), "hello from one");
  assert.equal(await other.locator(".other .name").innerText(), mine);
  await one.locator(".pending").waitFor({ state: "detached" });

  await third.context().close();
  await Promise.all([people(one, 2), people(other, 2)]);
  await other.context().close();
  await people(one, 1);
});

test("a later visitor sees history, and own messages stay own", async () => {
  const room = at("history");
  const one = await browser.tab(room);
  await connected(one);
  await deliver(one, "before you came");
  const later = await browser.tab(room);
  await sees(later, "before you came");
  assert.equal(await later.locator(".other").count(), 1);
  // history is not announced as new
  await titled(later, "history – Tungstate");
  await one.reload();
  await sees(one, "before you came");
  assert.equal(await one.locator(".own").count(), 1);
});

test("a long history starts with its newest page; earlier pages load on demand", async () => {
  await publish(server, "public:long", lines(0, 250));
  const page = await browser.tab(at("long"), { viewport: { width: 500, height: 500 } });
  await sees(page, "line 249");
  const from = (first: number): string[] => Array.from({ length: 250 - first }, (_, index) => `line ${first + index}`);
  assert.deepEqual(await texts(page), from(150));
  const button = page.getByRole("button", { name: "Earlier messages" });
  await button.focus();
  const place = (await page.locator(".message").first().boundingBox())?.y;
  await page.keyboard.press("Enter");
  await becomes(() => texts(page), from(50), "another page");
  // the reader's position is kept
  const now = (await page.locator(".message").nth(100).boundingBox())?.y;
  assert.ok(Math.abs((place ?? 0) - (now ?? 1e9)) < 60, `${place} ${now}`);
  await focused(page, "earlier");
  await page.keyboard.press("Enter");
  await becomes(() => texts(page), from(0), "the rest");
  await button.waitFor({ state: "hidden" });
  await focused(page, "log");
});

test("a typing indicator is shown to others until the message is sent, deleted, or the room is left", async () => {
  const room = at("typing");
  const [one, other] = await Promise.all([browser.tab(room), browser.tab(room)]);
  await Promise.all([people(one, 2), people(other, 2)]);
  const name = await one.locator("#name").innerText();
  const box = one.getByRole("textbox", { name: "Message to typing" });
  await other.clock.setFixedTime(Date.now()); // the indicator would expire by itself
  await box.pressSequentially("hel");
  await types(other, `${name} is typing…`);
  assert.equal(await typing(one), "");
  await say(one, "hello");
  await types(other, "");
  await box.pressSequentially("x");
  await types(other, /typing/);
  await box.fill("");
  await types(other, "");
  await box.pressSequentially("x");
  await types(other, /typing/);
  await one.context().close();
  await types(other, "");
  // typing indicators are not stored or shown as messages
  assert.deepEqual(await texts(other), ["hello"]);
});

test("rooms of any name can be joined, are distinct, and are listed again", async () => {
  const page = await browser.tab(server.url);
  await people(page, 1);
  const join = page.getByRole("textbox", { name: "Go to a room, or open a new one" });
  const strange = "Über <b>50</b> % & 日本 / ?#x";
  await join.fill(strange);
  await page.keyboard.press("Enter");
  await people(page, 1);
  await titled(page, `${strange} – Tungstate`);
  const other = await browser.tab(page.url());
  await people(page, 2);
  await say(other, "in here");
  await sees(page, "in here");
  assert.equal(await page.getByRole("link", { name: strange, exact: true }).getAttribute("aria-current"), "page");

  await page.getByRole("link", { name: "lobby" }).click();
  await people(other, 1);
  await titled(page, "lobby – Tungstate");
  assert.ok(!(await texts(page)).includes("in here"));
  await page.goBack();
  await sees(page, "in here");
  await page.reload();
  await page.getByRole("link", { name: strange, exact: true }).waitFor();
  // a name written as a channel, and an empty one
  await join.fill("public:lobby");
  await page.keyboard.press("Enter");
  await titled(page, "lobby – Tungstate");
  await join.fill(" \u200b ");
  await page.keyboard.press("Enter");
  assert.match(await page.locator("#room-error").innerText(), /at least one visible character/);
  await join.fill("x".repeat(61));
  await page.keyboard.press("Enter");
  assert.match(await page.locator("#room-error").innerText(), /at most 60 characters/);
});

test("a new name is announced, and the conversation continues", async () => {
  const room = at("names");
  const [page, witness] = await Promise.all([browser.tab(room), browser.tab(room)]);
  await people(witness, 2);
  await say(page, "under one name");
  await page.getByRole("button", { name: "Change name" }).click();
  await page.getByRole("textbox", { name: "What others see" }).fill("Ada\u202e Lovelace");
  await page.keyboard.press("Enter");
  await witness.locator("#people-list").getByText("Ada Lovelace", { exact: true }).waitFor();
  await people(witness, 2);
  await connected(page);
  await say(page, "and under another");
  await sees(witness, "and under another");
  assert.equal(await witness.locator(".other .name").last().innerText(), "Ada Lovelace");
  assert.equal(await page.locator(".own").count(), 2);
  assert.equal(await page.locator(".note").count(), 0);
});

test("markup is shown as text; right-to-left text and emoji are unchanged", async () => {
  const room = at(encodeURIComponent("<img src=x onerror=alert(0)>"));
  const [page, witness] = await Promise.all([browser.tab(room), browser.tab(room)]);
  await people(witness, 2);
  const hostile = `<img src=x onerror="alert(1)"><script>alert(2)</script><b>bold</b>&amp;`;
  await page.getByRole("button", { name: "Change name" }).click();
  await page.getByRole("textbox", { name: "What others see" }).fill("<b onclick=alert(3)>x</b>");
  await page.keyboard.press("Enter");
  await connected(page);
  const said = [hostile, "مرحبا بالجميع", "👩‍👩‍👧‍👦 and 🇺🇳", "[x](javascript:alert(4))", "x".repeat(4_000)];
  for (const text of said) await say(page, text);
  for (const text of said) await sees(witness, text);
  await witness.clock.setFixedTime(Date.now()); // the line stays
  await page.getByRole("textbox", { name: "Message" }).pressSequentially("x");
  await types(witness, "<b onclick=alert(3)>x</b> is typing…");
  assert.deepEqual(await texts(witness), said);
  const direction = await witness.evaluate(`getComputedStyle(document.querySelectorAll(".text")[1]).direction`);
  assert.equal(direction, "rtl");
  const inside = "#log img, #log script, #log b, #people b, #places img, #typing b, #places-button img";
  for (const each of [page, witness]) assert.equal(await each.locator(inside).count(), 0);
});

test("publications of other programs are shown as text and cannot impersonate", async () => {
  const page = await browser.tab(at("programs"));
  await people(page, 1);
  await deliver(page, "mine");
  const strange = [{ text: "with text" }, "a string", 42, null, ["<b>"], { deep: { a: 1 } }, { text: 5 }, { text: "" }];
  await publish(server, "public:programs", strange);
  await publish(server, "public:programs", [line(1), line(1), { id: "x", text: "a short id", at: 1e99 }]);
  await sees(page, "a short id");
  assert.deepEqual(await texts(page), [
    ...[
      "mine",
      "with text",
      "a string",
      "42",
      "null",
      '["<b>"]',
      '{"deep":{"a":1}}',
      '{"text":5}',
      "line 1",
      "a short id",
    ],
  ]);
  assert.equal(await page.locator(".own").count(), 1);
});

test("of 10,000 messages the page keeps the newest thousand", async () => {
  const page = await browser.tab(at("flood"));
  await people(page, 1);
  for (let start = 0; start < 10_000; start += 1_000) {
    await publish(server, "public:flood", lines(start, start + 1_000));
  }
  await sees(page, "line 9999");
  await becomes(() => page.locator("#messages > .message").count(), 1_000, "the messages kept");
  await page.getByText("Earlier messages are not kept.").waitFor();
  await deliver(page, "still quick");
});
