// The view of the server's statistics.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Page } from "playwright-core";
import { connect } from "tungstate";
import { becomes, connected, eventually, focused, inTime, people, TestBrowser } from "./support/browser.ts";
import { API_FLAGS, publish } from "./support/outside.ts";
import { Served } from "./support/server.ts";

const browser = TestBrowser.forTests();
const server = Served.forTests(...API_FLAGS);

/** Returns the text beside a plot. */
const readout = (page: Page, title: string): Promise<string> =>
  page
    .locator(".plot", { has: page.getByRole("heading", { name: title }) })
    .locator(".readout")
    .innerText();

/** Returns for each plot how many of its points have the colour of a line. */
const DRAWN = `[...document.querySelectorAll(".plot")].map((plot) => {
  const canvas = plot.querySelector("canvas");
  const probe = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgb = (name) => {
    probe.fillStyle = getComputedStyle(plot).getPropertyValue(name);
    probe.fillRect(0, 0, 1, 1);
    return probe.getImageData(0, 0, 1, 1).data;
  };
  const lines = [rgb("--line-one"), rgb("--line-two")];
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let count = 0;
  for (let at = 0; at < data.length; at += 4) {
    if (data[at + 3] > 200 && lines.some((line) => [0, 1, 2].every((part) => Math.abs(line[part] - data[at + part]) < 12))) count++;
  }
  return count;
})`;

const drawn = (page: Page): Promise<number[]> => page.evaluate(DRAWN);

test("statistics are plotted and written, in light and dark, and continue after a server restart", async () => {
  const talker = await browser.tab(server.url);
  await people(talker, 1);
  const page = await browser.tab(server.url, { colorScheme: "light" });
  await page.getByRole("link", { name: "Live statistics" }).click();
  await focused(page, "live-title");
  const main = page.getByRole("main", { name: "Live statistics of the server" });
  await becomes(() => main.count(), 1, "the main landmarks");
  await eventually(
    () => drawn(page),
    (counts) => counts.length === 6 && counts.every((count) => count > 3),
    "six plots",
  );
  await becomes(() => readout(page, "Connections"), "2", "the tabs");
  for (const title of ["CPU", "Event-loop delay", "Queued output", "Memory"]) {
    assert.match(await readout(page, title), /\d/);
  }
  const picture = page.getByRole("img", { name: /^Connections, the last two minutes\. open: between 2 and 2\.$/ });
  await picture.waitFor();
  assert.match(await readout(page, "Messages per second"), /^(\d+(?:\.\d)?)\s+received\s+(\d+(?:\.\d)?)\s+sent$/);
  // a short burst is faster than the pages send: the plot shows it longer than the text
  await using client = await connect(`${server.url.replace("http", "ws")}/echo`);
  for (let count = 0; count < 1_000; count++) client.write(`message ${count}`);
  await client.close();
  const label = async () =>
    (await page.getByRole("img", { name: /^Messages per second/ }).getAttribute("aria-label")) ?? "";
  const most = async () => Number(/received: between \S+ and ([\d,]+)/.exec(await label())?.[1]?.replace(",", ""));
  await eventually(most, (count) => count >= 50, "the most messages per second");

  await page.emulateMedia({ colorScheme: "dark" });
  await eventually(
    () => drawn(page),
    (counts) => counts.every((count) => count > 3),
    "in other colours",
  );
  // the values at the pointer replace the newest
  await page.locator(".u-over").first().hover();
  await page.locator(".readout .at").first().waitFor();

  await page.context().setOffline(true);
  await page.getByText("You are offline.").waitFor();
  await page.context().setOffline(false);
  await connected(page);
  const newest = (): Promise<string> => page.locator(".plot .picture").nth(1).getAttribute("aria-label").then(String);
  await talker.context().close();
  await page.mouse.move(0, 0);
  await becomes(() => readout(page, "Connections"), "1", "the tabs");
  assert.match(await newest(), /received: between/);

  // back in the room, there is no subscription to the statistics
  await page.getByRole("link", { name: "lobby" }).click();
  await people(page, 1);
  await becomes(() => page.locator("canvas").count(), 0, "the plots");
  await becomes(() => page.getByRole("main").count(), 1, "the main landmarks");
});

test("several nodes are listed and summed", async () => {
  // time only passes in `inTime`, so that the display does not change during assertions
  const page = await browser.timeless(`${server.url}/#/server`);
  const connections = () => readout(page, "Connections");
  await inTime(page, connections, (text) => text === "1", "this node");
  assert.equal(await page.getByRole("region", { name: "Nodes" }).count(), 0);
  const stats = (id: string, name: string) => ({
    ...{
      node: { id, name },
      at: Date.now(),
      uptime: 3_700,
      connections: 41,
      channels: 3,
      received: 100,
      sent: 200,
      cpu: 0.5,
    },
    ...{ loopDelay: { mean: 1, p99: 2, max: 3 }, queueBytes: 2048, memory: 1024 * 1024 * 100 },
  });
  const both = async () => {
    await publish(server, "live:server", [{ node: "of another version" }, stats("another-node", "<b>second</b>")]);
    return connections();
  };
  await inTime(page, both, (text) => text === "42", "both");
  await page.getByText("2 nodes, the last two minutes. CPU and delay are those of the busiest node.").waitFor();
  const row = page.getByRole("row", { name: /<b>second<\/b>/ });
  await row.waitFor();
  assert.deepEqual(await row.getByRole("cell").allTextContents(), [
    ...["1 h 1 min", "41", "100", "200", "50 %", "2.0 ms", "2 KiB", "100 MiB"],
  ]);
  assert.equal(await readout(page, "CPU"), "50 %");
  // its statistics have expired
  await inTime(
    page,
    () => row.count(),
    (count) => count === 0,
    "the other node",
  );
  await inTime(page, connections, (text) => text === "1", "one again");
});

test("the size of the page is bounded, without and with the plots", async () => {
  const page = await browser.tab("about:blank");
  const sizes = new Map<string, number>();
  const bodies: Promise<unknown>[] = [];
  page.on("response", (response) => {
    const { pathname, host } = new URL(response.url());
    assert.equal(host, new URL(server.url).host, "nothing comes from elsewhere");
    bodies.push(response.body().then(({ length }) => sizes.set(pathname, length)));
  });
  const total = async (type: string): Promise<number> => {
    await Promise.all(bodies);
    return [...sizes].filter(([path]) => path.endsWith(type)).reduce((sum, [, size]) => sum + size, 0);
  };
  await page.goto(server.url);
  await people(page, 1);
  const first = await total(".js");
  assert.ok(first > 10_000 && first < 160_000, `${first} bytes of scripts`);
  const style = await total(".css");
  assert.ok(style < 30_000, `${style} bytes of style`);
  await page.getByRole("link", { name: "Live statistics" }).click();
  await page.locator("canvas").first().waitFor();
  const plots = await eventually(
    async () => (await total(".js")) - first,
    (size) => size > 10_000,
    "bytes of scripts for the plots",
  );
  assert.ok(plots < 70_000, `${plots} bytes of scripts for the plots`);
});
