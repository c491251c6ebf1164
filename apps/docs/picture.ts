// Draws docs/chat.webp, the picture of the chat page: node --import tsx --test apps/docs/picture.ts
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Page } from "playwright-core";
import { connected, people, say, sees, TestBrowser } from "../web/test/support/browser.ts";
import { Served } from "../web/test/support/server.ts";
import { repository } from "./site/folders.ts";

const QUALITY = 0.85; // of WebP, from 0 to 1

const CONVERSATION = [
  ["Ada", "The gateway lost its Ethernet for ten seconds."],
  ["Grace", "Did the readings of that time arrive?"],
  ["Ada", "All of them, in order. It came back over LTE."],
  ["Grace", "Then I close the ticket."],
] as const;

const browser = TestBrowser.forTests();
const server = Served.forTests();

/** Opens the page as a user with this name. */
async function enter(name: string): Promise<Page> {
  const page = await browser.tab(server.url, { viewport: { width: 1040, height: 560 }, deviceScaleFactor: 2 });
  await connected(page);
  await page.getByRole("button", { name: "Change name" }).click();
  await page.getByRole("textbox", { name: "What others see" }).fill(name);
  await page.keyboard.press("Enter");
  return page;
}

test("docs/chat.webp", async () => {
  const [ada, grace] = [await enter("Ada"), await enter("Grace")];
  for (const page of [ada, grace]) await people(page, 2);
  for (const [name, text] of CONVERSATION) {
    await say(name === "Ada" ? ada : grace, text);
    for (const page of [ada, grace]) await sees(page, text);
  }
  await ada.mouse.move(0, 0);
  const png = (await ada.screenshot({ animations: "disabled", caret: "hide" })).toString("base64");
  // Chromium writes WebP, so that no other program is required
  const webp = await ada.evaluate<string>(`(async () => {
    const bytes = Uint8Array.from(atob("${png}"), (character) => character.charCodeAt(0));
    const picture = await createImageBitmap(new Blob([bytes]));
    const canvas = Object.assign(document.createElement("canvas"), { width: picture.width, height: picture.height });
    canvas.getContext("2d").drawImage(picture, 0, 0);
    return canvas.toDataURL("image/webp", ${QUALITY});
  })()`);
  writeFileSync(join(repository, "docs/chat.webp"), Buffer.from(webp.split(",")[1] ?? "", "base64"));
});
