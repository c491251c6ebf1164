// Rooms of the hub while the connection or the server is away.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import {
  comesBack,
  connected,
  countdown,
  delivered,
  inTime,
  people,
  reconnects,
  say,
  sees,
  shows,
  TestBrowser,
  texts,
  titled,
  triesNow,
} from "./support/browser.ts";
import { API_FLAGS, lines, publish } from "./support/outside.ts";
import { pageWith, Served } from "./support/server.ts";

const browser = TestBrowser.forTests();
const server = Served.forTests(...API_FLAGS);

/** Returns the name of a room used by one test only. */
const at = (room: string, of: Served = server): string => `${of.url}/#/room/${room}`;

test("after being offline, missed messages arrive in order, once, and are counted", async () => {
  const room = at("recovery");
  const [away, other] = await Promise.all([browser.tab(room), browser.tab(room)]);
  await people(other, 2);
  await say(other, "before");
  await sees(away, "before");
  await away.context().setOffline(true);
  await away.getByText("You are offline.").waitFor();
  await people(other, 1);
  for (const text of ["one", "two", "three"]) await say(other, text);
  await say(away, "written offline");
  await away.getByText("Not sent yet").waitFor();
  await away.context().setOffline(false);
  await connected(away);
  await away.getByText(/^3 messages while you were away \((a second|\d+ seconds)\)\.$/).waitFor();
  await sees(other, "written offline");
  assert.deepEqual(await texts(away), ["before", "written offline", "one", "two", "three"]);
  assert.deepEqual(await texts(other), ["before", "one", "two", "three", "written offline"]);
  await away.locator(".pending").waitFor({ state: "detached" });
  await people(away, 2);

  await away.context().setOffline(true);
  await away.getByText("You are offline.").waitFor();
  await away.context().setOffline(false);
  await away.getByText(/^No messages while you were away/).waitFor();
});

test("after a server restart the page shows the reason, the countdown and the loss, and sends its own message", async () => {
  await using first = await Served.start();
  const [page, other] = await Promise.all([browser.timeless(at("lobby", first)), browser.tab(at("lobby", first))]);
  await people(other, 2);
  await say(page, "before");
  await sees(other, "before");
  await shows(page, ["before"]);
  await first.stop();
  await page.getByText("The server is shutting down.").waitFor();
  await page.clock.runFor((await countdown(page)) * 1_000);
  await page.getByText("The server cannot be reached.").waitFor();
  assert.equal(await page.getByRole("button", { name: /here/, includeHidden: true }).isVisible(), false);
  await say(page, "meanwhile");
  await shows(page, ["before", "meanwhile"]);
  await using second = await Served.start(first.port);
  await comesBack(page);
  await page.getByText(/^Back after .+\. The server has restarted: messages sent meanwhile are lost\.$/).waitFor();
  await triesNow(other);
  await people(other, 2);
  await sees(other, "meanwhile");
  await shows(page, ["before", "meanwhile"]);
  await delivered(page);
  await say(other, "welcome back");
  await shows(page, ["before", "meanwhile", "welcome back"]);
  const both = () => page.getByRole("heading", { name: "2 people here", exact: true, includeHidden: true }).count();
  await inTime(page, both, (count) => count === 1, "two people");
  assert.deepEqual((await texts(other)).toSorted(), ["before", "meanwhile", "welcome back"]);
  await page.context().close();
  await other.context().close();
  await second.stop();
  assert.deepEqual(
    browser.errors.splice(0).filter((error) => !error.includes("ERR_CONNECTION_REFUSED")),
    [],
  );
});

test("if the server does not keep all missed messages, the page notes the loss and shows the rest", async () => {
  const page = await browser.tab(at("overflow"));
  await connected(page);
  await publish(server, "public:overflow", lines(0, 1));
  await sees(page, "line 0");
  await page.context().setOffline(true);
  await page.getByText("You are offline.").waitFor();
  await publish(server, "public:overflow", lines(1, 1_101));
  await page.context().setOffline(false);
  await page.getByText(/Some messages are missing: the server does not keep that many\.$/).waitFor();
  await sees(page, "line 1100");
  const shown = await texts(page);
  assert.deepEqual([shown[0], shown[1], shown.length], ["line 0", "line 801", 301]);
});

test("a server that no longer replies is detected when a message is sent", async () => {
  await using own = await Served.start();
  const page = await browser.timeless(at("lobby", own));
  await connected(page);
  own.signal("SIGSTOP");
  await say(page, "is anybody there?");
  const status = async () => page.locator("#status-text").textContent();
  await inTime(page, status, (text) => text === "The server does not respond.", "the silence is detected");
  own.signal("SIGCONT");
  await reconnects(page);
  await delivered(page);
  assert.deepEqual(await texts(page), ["is anybody there?"]);
});

test("an unsent message is kept while the user visits another place", async () => {
  await using own = await Served.start();
  const page = await browser.tab(at("waiting", own));
  await people(page, 1);
  await own.stop("SIGKILL");
  await page.getByRole("button", { name: "Try now" }).waitFor();
  await say(page, "keep this");
  await page.getByRole("link", { name: "lobby" }).click();
  await titled(page, "lobby – Tungstate");
  assert.deepEqual(await texts(page), []);
  await using again = await Served.start(own.port);
  await triesNow(page);
  await people(page, 1);
  await page.goBack();
  await sees(page, "keep this");
  await page.locator(".pending").waitFor({ state: "detached" });
  const other = await browser.tab(at("waiting", again));
  await sees(other, "keep this");
  await page.context().close();
  await other.context().close();
  browser.errors.splice(0, Infinity, ...browser.errors.filter((error) => !error.includes("ERR_CONNECTION_REFUSED")));
});

test("a code that forbids reconnecting shows the reason without a countdown, and Try now", async () => {
  let code = 3504;
  await using served = await pageWith((connection) => {
    connection.on("message", () => void connection.close(code, "connection limit"));
  }, "/connection/websocket");
  const page = await browser.tab(served.url);
  await page.getByText("The server accepts no more connections.", { exact: true }).waitFor();
  assert.equal(await page.getByRole("timer").textContent(), "");
  code = 3001;
  await page.getByRole("button", { name: "Try now" }).click();
  await page.getByText("The server is shutting down.").waitFor();
  code = 4600;
  await page.getByText("The server closed the connection (code 4600): “connection limit”.").waitFor();
});

test("a room that denies access says so, and its messages are not delivered", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tungstate-"));
  const config = join(folder, "config.json");
  writeFileSync(config, JSON.stringify({ namespaces: { public: { history: { size: 10, ttl: 60_000 } } } }));
  try {
    await using own = await Served.start(0, "--config", config);
    const page = await browser.tab(at("lobby", own));
    await page.getByText("The server denied access: permission denied.").waitFor();
    await say(page, "let me in");
    await page.getByText("Not delivered").waitFor();
    await connected(page);
    await page.context().close();
  } finally {
    rmSync(folder, { recursive: true });
  }
});
