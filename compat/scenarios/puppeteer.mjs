// puppeteer-core drives Chromium over its DevTools WebSocket.
import assert from "node:assert/strict";
import process from "node:process";
import puppeteer from "puppeteer-core";
import { scenario } from "./scenario.mjs";

await scenario(["puppeteer-core"], async ({ check, after }) => {
  const browser = await puppeteer.launch({
    executablePath: process.env.COMPAT_CHROMIUM,
    args: ["--no-sandbox", "--disable-gpu"],
  });
  after(() => browser.close());
  assert.match(browser.wsEndpoint(), /^ws:/);
  const page = await browser.newPage();
  await check("a page's content and evaluation", async () => {
    await page.setContent("<title>compat</title><p id=p>text</p>");
    assert.equal(await page.title(), "compat");
    assert.equal(await page.$eval("#p", (element) => element.textContent), "text");
  });
  await check("a result of 4 MB", async () => {
    const text = await page.evaluate(() => "x".repeat(4_000_000));
    assert.equal(text.length, 4_000_000);
  });
  await check("an argument of 4 MB", async () => {
    assert.equal(await page.evaluate((text) => text.length, "y".repeat(4_000_000)), 4_000_000);
  });
  await check("a screenshot", async () => {
    const picture = await page.screenshot();
    assert.deepEqual([...picture.subarray(1, 4)], [...Buffer.from("PNG")]);
  });
  await check("500 evaluations at once", async () => {
    const results = await Promise.all(Array.from({ length: 500 }, (_, at) => page.evaluate((value) => value * 2, at)));
    assert.deepEqual(
      results,
      Array.from({ length: 500 }, (_, at) => at * 2),
    );
  });
  await check("a second connection", async () => {
    const other = await puppeteer.connect({ browserWSEndpoint: browser.wsEndpoint() });
    assert.ok((await other.pages()).length >= 1);
    await other.disconnect();
  });
});
