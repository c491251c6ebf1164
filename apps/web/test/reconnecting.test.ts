import assert from "node:assert/strict";
import { test } from "node:test";
import type { Page } from "playwright-core";
import {
  comesBack,
  connected,
  countdown,
  delivered,
  eventually,
  focused,
  inTime,
  people,
  say,
  sees,
  shows,
  TestBrowser,
  texts,
  triesNow,
} from "./support/browser.ts";
import { pageWith, Served } from "./support/server.ts";

const browser = TestBrowser.forTests();

/** Waits until the sentence about the connection matches. */
function trouble(page: Page, sentence: RegExp): Promise<string> {
  const read = async () => (await page.locator("#status-text").textContent()) ?? "";
  return eventually(read, (text) => sentence.test(text), `the reason is ${sentence}`);
}

test("after a server restart the page shows the reason and a countdown, reconnects, and keeps its messages", async () => {
  await using first = await Served.start();
  const page = await browser.timeless(first.broadcast);
  await people(page, 1);
  const witness = await browser.tab(first.broadcast);
  await people(page, 2);
  await say(page, "before");
  await sees(witness, "before");
  await shows(page, ["before"]);

  await first.stop();
  await trouble(page, /^The server is shutting down\.$/);
  await page.clock.runFor((await countdown(page)) * 1_000);
  await trouble(page, /^The server cannot be reached\.$/);
  assert.equal(await page.getByRole("button", { name: "2 people here", includeHidden: true }).isVisible(), false);
  await say(page, "meanwhile");
  await shows(page, ["before", "meanwhile"]);
  await page.getByText("Not sent yet").waitFor();
  await say(page, "and more");

  await using second = await Served.start(first.port);
  await Promise.all([comesBack(page), triesNow(witness)]);
  await people(page, 2);
  await shows(page, ["before", "meanwhile", "and more"]);
  await page.getByText(/^Back after .* Messages sent meanwhile are not available\.$/).waitFor();
  await delivered(page);
  assert.equal(await page.getByRole("timer").textContent(), "");
  await say(witness, "welcome back");
  await shows(page, ["before", "meanwhile", "and more", "welcome back"]);
  const seen = await texts(witness);
  assert.equal(seen.filter((text) => text === "meanwhile").length <= 1, true);
  await page.context().close();
  await witness.context().close();
  await second.stop();
});

test("Try now reconnects and returns the focus", async () => {
  await using first = await Served.start();
  const page = await browser.timeless(first.broadcast);
  await connected(page);
  await first.stop("SIGKILL");
  await trouble(page, /^The connection was lost\.$/);
  await using _second = await Served.start(first.port);
  // no time passes, so the page does not reconnect by itself
  await page.getByRole("button", { name: "Try now" }).focus();
  await page.keyboard.press("Enter");
  await connected(page);
  await focused(page, "text");
  assert.equal(await page.getByRole("button", { name: "Try now" }).isVisible(), false);
});

test("offline is reported, and the page reconnects with the network", async () => {
  await using first = await Served.start();
  const page = await browser.timeless(first.broadcast);
  await connected(page);
  const context = page.context();
  await context.setOffline(true);
  // nothing tells yet that the connection is lost
  await say(page, "still here");
  await shows(page, ["still here"]);
  await connected(page);
  await first.stop();
  // time passes: if the browser holds back the Close while it is offline, the silence is noticed
  const reason = async () => page.locator("#status-text").textContent();
  await inTime(page, reason, (text) => text === "You are offline.", "the page is offline");
  assert.ok((await countdown(page)) > 10);
  await using _second = await Served.start(first.port);
  // no time passes, so the page does not wait for the next attempt
  await context.setOffline(false);
  await connected(page);
});

test("a page that was frozen while the server restarted reconnects when it continues", async () => {
  await using first = await Served.start();
  const page = await browser.tab(first.broadcast);
  await connected(page);
  const session = await page.context().newCDPSession(page);
  await session.send("Page.setWebLifecycleState", { state: "frozen" });
  await first.stop("SIGKILL");
  await using _second = await Served.start(first.port);
  await session.send("Page.setWebLifecycleState", { state: "active" });
  await page.getByText(/^Back after .* Messages sent meanwhile are not available\.$/).waitFor();
  await connected(page);
  await say(page, "back");
  await sees(page, "back");
});

test("1012 and 1013 delay as they ask for, and their reason is shown as text", async () => {
  let code = 1012;
  await using served = await pageWith((connection) => {
    void connection.close(code, "new <b>version</b>");
  });
  // no time passes: the countdown shows the whole delay, and no attempt starts before the test asks
  // for it
  const page = await browser.timeless(served.url);
  await trouble(page, /^The server is restarting: “new <b>version<\/b>”\.$/);
  const restart = await countdown(page);
  assert.ok(restart >= 3 && restart <= 30, String(restart));
  code = 1013;
  await page.getByRole("button", { name: "Try now" }).click();
  await trouble(page, /^The server is overloaded, or this page could not keep up: “new/);
  const overload = await countdown(page);
  assert.ok(overload >= 12 && overload <= 60, String(overload));
  code = 4321;
  await page.getByRole("button", { name: "Try now" }).click();
  await trouble(page, /^The server closed the connection \(code 4321\): “new/);
});

test("a server that no longer replies is detected", async () => {
  await using served = await pageWith((connection) => {
    connection.on("message", () => undefined);
  });
  const page = await browser.timeless(served.url);
  await connected(page);
  // in steps: the page may show that it is connected before it waits for the first answer
  const status = async () => {
    await page.clock.runFor(500);
    return page.locator("#status-text").textContent();
  };
  await eventually(status, (text) => text === "The server does not respond.", "the silence is detected");
});

test("a person without an announcement for two minutes is removed; others stay", async () => {
  await using served = await pageWith((connection) => {
    connection.on("message", (message) => served.server.broadcast(message));
  });
  const page = await browser.timeless(served.url);
  await connected(page);
  const say = (client: string) =>
    served.server.broadcast(JSON.stringify({ chat: 1, type: "here", client, name: "Robot" }));
  say("robot-one");
  say("robot-two");
  await people(page, 3);
  const later: string[] = [];
  for (let minute = 0; minute < 3; minute++) {
    await page.clock.fastForward(45_000);
    say("robot-two");
    // earlier messages have arrived when this one has
    later.push(`after ${minute}`);
    served.server.broadcast(`after ${minute}`);
    await shows(page, later);
  }
  await people(page, 2);
  await connected(page);
});

test("a message that ends every connection is given up after three attempts, with a note", async () => {
  await using served = await pageWith((connection) => {
    connection.on("message", (message) => {
      if (message.text.includes("poison")) connection.terminate();
      else connection.write(message);
    });
  });
  const page = await browser.timeless(served.url);
  await connected(page);
  await say(page, "poison");
  const retry = async () => {
    await page.locator("#try-now").dispatchEvent("click");
    return page.getByText("Not delivered").count();
  };
  await inTime(page, retry, (count) => count === 1, "it is given up");
  await connected(page);
  await say(page, "good");
  await shows(page, ["poison", "good"]);
});
