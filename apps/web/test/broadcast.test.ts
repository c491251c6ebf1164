import assert from "node:assert/strict";
import { test } from "node:test";
import { connect } from "tungstate";
import { becomes, connected, eventually, people, say, sees, TestBrowser, texts } from "./support/browser.ts";
import { Served } from "./support/server.ts";

const browser = TestBrowser.forTests();
const server = Served.forTests();

test("a message of one tab is shown once in both tabs, with its author", async () => {
  const one = await browser.tab(server.broadcast);
  const other = await browser.sibling(one);
  await Promise.all([connected(one), connected(other)]);
  await Promise.all([people(one, 2), people(other, 2)]);
  await say(one, "hello from one");
  await sees(other, "hello from one");
  await say(other, "hello from the other");
  await sees(one, "hello from the other");

  for (const page of [one, other]) assert.deepEqual(await texts(page), ["hello from one", "hello from the other"]);
  assert.equal(await one.locator(".own .text").textContent(), "hello from one");
  assert.equal(await other.locator(".own .text").textContent(), "hello from the other");
  const name = await one.locator("#name").textContent();
  assert.equal(await other.locator(".other .name").textContent(), name);
  assert.match((await other.locator(".other time").getAttribute("datetime")) ?? "", /^\d{4}-\d\d-\d\dT/);
  // a message that came back is no longer marked as unsent
  await one.locator(".pending").waitFor({ state: "detached" });

  await other.close();
  await people(one, 1);
});

test("a new name is announced and kept", async () => {
  const [page, witness] = await Promise.all([browser.tab(server.broadcast), browser.tab(server.broadcast)]);
  await people(witness, 2);
  const friendly = (await page.locator("#name").textContent()) ?? "";
  assert.match(friendly, /^[A-Z][a-z]+ [A-Z][a-z]+$/);
  await page.reload();
  assert.equal(await page.locator("#name").textContent(), friendly);
  await people(witness, 2);

  await page.getByRole("button", { name: "Change name" }).click();
  const input = page.getByRole("textbox", { name: "What others see beside your messages" });
  await input.fill("\u200b \u202e");
  await page.keyboard.press("Enter");
  assert.match((await page.getByRole("alert").textContent()) ?? "", /at least one visible character/);
  await input.fill("x".repeat(33));
  await page.keyboard.press("Enter");
  assert.match((await page.getByRole("alert").textContent()) ?? "", /at most 32 characters; this one has 33/);
  await input.fill("  Ada\u202e  Lovelace ");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor({ state: "hidden" });
  assert.equal(await page.locator("#name").textContent(), "Ada Lovelace");
  await witness.getByRole("listitem").getByText("Ada Lovelace", { exact: true }).waitFor();

  await say(page, "it is me");
  await sees(witness, "it is me");
  assert.equal(await witness.locator(".other .name").textContent(), "Ada Lovelace");
  const sibling = await browser.sibling(page);
  assert.equal(await sibling.locator("#name").textContent(), "Ada Lovelace");
});

test("markup is shown as text", async () => {
  const [page, witness] = await Promise.all([browser.tab(server.broadcast), browser.tab(server.broadcast)]);
  await people(page, 2);
  const hostile = `<img src=x onerror="alert(1)"><script>alert(2)</script><b>bold</b>&amp;`;
  await page.getByRole("button", { name: "Change name" }).click();
  await page.getByRole("textbox", { name: "What others see" }).fill("<b onclick=alert(3)>x</b>");
  await page.keyboard.press("Enter");
  await say(page, hostile);
  await using client = await connect(`${server.url.replace("http", "ws")}/ws`, { origin: server.url });
  client.write(hostile);
  client.write(
    JSON.stringify({ chat: 1, type: "message", client: "12345678", id: "12345678", name: hostile, text: "a" }),
  );
  await sees(witness, "a");
  assert.deepEqual(await texts(witness), [hostile, hostile, "a"]);
  assert.equal(await witness.locator("#log img, #log script, #log b, #people b").count(), 0);
  assert.deepEqual(await witness.locator(".message .name").allTextContents(), [
    "<b onclick=alert(3)>x</b>",
    "someone",
    hostile.slice(0, 32),
  ]);
  // the policy forbids inline scripts and styles
  const policy = await page.evaluate(
    "document.querySelector('script:not([src]), style, [style]:not(textarea)') === null",
  );
  assert.equal(policy, true);
  await client.close();
  await page.context().close();
  await witness.context().close();
});

test("messages of other programs are shown as they are, from someone", async () => {
  const page = await browser.tab(server.broadcast);
  await connected(page);
  await using client = await connect(`${server.url.replace("http", "ws")}/ws`);
  const strange = [
    "hello from a terminal",
    '{"type":"message","text":"no chat of ours"}',
    "{not json",
    "[1]",
    '{"__proto__":{"chat":1}}',
    "two\nlines",
  ];
  for (const text of strange) client.write(text);
  client.write(Uint8Array.of(1, 2, 255));
  client.write(new Uint8Array(20));
  // a later page's
  client.write('{"chat":2,"type":"song"}');
  client.write('{"chat":1,"type":"message","client":"<>","id":"12345678","name":"x","text":"x"}');
  client.write("the last one");
  await sees(page, "the last one");
  assert.deepEqual(await texts(page), [
    ...strange,
    "3 bytes: 01 02 ff",
    "20 bytes: 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 …",
    "the last one",
  ]);
  for (const name of await page.locator(".foreign .name").allTextContents()) assert.equal(name, "someone");
  await client.close();
  await page.context().close();
});

test("a client that only announces itself is counted until it leaves", async () => {
  const page = await browser.tab(server.broadcast);
  await people(page, 1);
  await using client = await connect(`${server.url.replace("http", "ws")}/ws`);
  const packet = (type: string, name = "Robot") => JSON.stringify({ chat: 1, type, client: "robot-000", name });
  client.write(packet("hello"));
  await people(page, 2);
  await page.getByRole("listitem").getByText("Robot", { exact: true }).waitFor();
  client.write(packet("here", "Machine"));
  await page.getByRole("listitem").getByText("Machine", { exact: true }).waitFor();
  // the page has answered the announcement
  for await (const message of client) if (/"type":"here".*"name":"(?!Machine)/.test(message.text)) break;
  client.write(packet("bye"));
  await people(page, 1);
  assert.deepEqual(await texts(page), []);
  await client.close();
  await page.context().close();
});

test("other clients cannot impersonate by repeating an ID, or fill the page", async () => {
  const page = await browser.tab(server.broadcast);
  await connected(page);
  await say(page, "mine");
  await using client = await connect(`${server.url.replace("http", "ws")}/ws`);
  const message = (id: number, text: string) =>
    JSON.stringify({ chat: 1, type: "message", client: "robot-000", id: `message-${id}`, name: "Robot", text });
  client.write(message(1, "once"));
  client.write(message(1, "twice"));
  client.write(message(2, "next"));
  await sees(page, "next");
  assert.deepEqual(await texts(page), ["mine", "once", "next"]);
  for (let id = 3; id < 2_003; id++) await client.send(message(id, `number ${id}`));
  await sees(page, "number 2002");
  await becomes(() => page.locator("#messages > .message").count(), 1_000, "the messages kept");
  await page.getByText("Earlier messages are not kept.").waitFor();
  await client.send(message(3_000, "y".repeat(100_000)));
  await page.getByText("(100,000 characters, truncated)").waitFor();
  await client.close();
  await page.context().close();
});

test("while the user has scrolled up, new messages are counted and not scrolled to", async () => {
  const page = await browser.tab(server.broadcast, { viewport: { width: 400, height: 500 } });
  await connected(page);
  await using client = await connect(`${server.url.replace("http", "ws")}/ws`);
  for (let line = 1; line <= 60; line++) client.write(`line ${line}`);
  await sees(page, "line 60");
  const bottom = () => page.evaluate("log.scrollHeight - log.scrollTop - log.clientHeight") as Promise<number>;
  await eventually(bottom, (gap) => gap < 2, "the newest is in sight");
  // the page knows of it when it has had the event, which comes with the next frame
  await page.evaluate(`new Promise((resolve) => {
    log.addEventListener("scroll", resolve, { once: true });
    log.scrollTop = 0;
  })`);
  client.write("line 61");
  const button = page.getByRole("button", { name: "1 new message" });
  await button.waitFor();
  assert.ok((await bottom()) > 100, "it stays where the reader is");
  await button.click();
  await eventually(bottom, (gap) => gap < 2, "down again");
  await button.waitFor({ state: "hidden" });
  await client.close();
  await page.context().close();
});
