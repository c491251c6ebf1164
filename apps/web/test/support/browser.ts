import assert from "node:assert/strict";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import process from "node:process";
import { after, afterEach, before } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";

/**
 * Browsers to look for on PATH, in this order. The headless shell does not draw a window, which
 * would take twice the time of the page.
 */
const NAMES = ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"];
const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const TIMEOUT_MS = 120_000; // for a condition, after which a test that would hang fails

function findChromium(): string {
  for (const name of NAMES) {
    for (const folder of (process.env.PATH ?? "").split(delimiter)) {
      try {
        accessSync(join(folder, name), constants.X_OK);
        return join(folder, name);
      } catch {
        // not found
      }
    }
  }
  throw new Error(`none of ${NAMES.join(", ")} is on PATH`);
}

/** A browser, and the errors of its pages. */
export class TestBrowser {
  /** Script errors and violations of the Content-Security-Policy, in all tabs. */
  readonly errors: string[] = [];
  private browser: Browser | undefined;

  /**
   * Returns the browser of the tests of a file. It starts before them. Behind each test, passed or
   * failed, its tabs are closed, so that the next test finds none; errors of its pages fail it.
   */
  static forTests(): TestBrowser {
    const browser = new TestBrowser();
    before(async () => {
      browser.browser = await chromium.launch({ executablePath: findChromium(), args: FLAGS });
    });
    afterEach(async () => {
      await Promise.all(browser.started.contexts().map((context) => context.close()));
      assert.deepEqual(browser.errors.splice(0), []);
    });
    after(() => browser.browser?.close());
    return browser;
  }

  /** Opens a tab with its own storage, as another user. */
  async tab(url: string, options: BrowserContextOptions = {}): Promise<Page> {
    const context = await this.started.newContext({ viewport: { width: 1280, height: 800 }, ...options });
    const page = await context.newPage();
    await this.watch(page, url);
    return page;
  }

  /** Opens a tab in which time stands still. Tests advance it with `page.clock`. */
  async timeless(url: string, options: BrowserContextOptions = {}): Promise<Page> {
    const page = await this.tab("about:blank", options);
    await page.clock.install();
    // Real time passes between these two lines, but a blank page does not depend on it.
    await page.clock.pauseAt(Date.now() + 3_600_000);
    await page.goto(url);
    return page;
  }

  /** Opens another tab of the same user. */
  async sibling(page: Page): Promise<Page> {
    const other = await page.context().newPage();
    await this.watch(other, page.url());
    return other;
  }

  private async watch(page: Page, url: string): Promise<void> {
    page.setDefaultTimeout(TIMEOUT_MS);
    page.on("pageerror", (error) => this.errors.push(String(error)));
    page.on("console", (message) => {
      // some tests provoke failed connections
      if (message.type() === "error" && !message.text().startsWith("WebSocket connection to")) {
        this.errors.push(message.text());
      }
    });
    page.on("dialog", (dialog) => {
      this.errors.push(`a dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    await page.goto(url);
  }

  private get started(): Browser {
    if (this.browser === undefined) throw new Error("the browser starts before the first test");
    return this.browser;
  }
}

/** Waits until `is` accepts the result of `read`. */
export async function eventually<T>(read: () => Promise<T> | T, is: (value: T) => boolean, what: string): Promise<T> {
  const until = performance.now() + TIMEOUT_MS;
  for (;;) {
    const value = await read();
    if (is(value)) return value;
    if (performance.now() > until) throw new Error(`${what}: still ${JSON.stringify(value)}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

/** Waits until `read` returns exactly this. */
export function becomes<T>(read: () => Promise<T> | T, expected: T, what: string): Promise<T> {
  return eventually(read, (value) => isDeepStrictEqual(value, expected), `${what}, not ${JSON.stringify(expected)}`);
}

/**
 * Waits until the element with this ID has the focus. A click on a link returns before the page
 * knows of it: the browser reports the new address in a later task.
 */
export function focused(page: Page, id: string): Promise<string> {
  return becomes(() => page.evaluate<string>("document.activeElement.id"), id, "the focus");
}

/** Waits until the page has this title. */
export function titled(page: Page, title: string): Promise<string> {
  return becomes(() => page.title(), title, "the title");
}

export async function say(page: Page, text: string): Promise<void> {
  await page.getByRole("textbox", { name: "Message" }).fill(text);
  await page.keyboard.press("Enter");
}

/** Sends a message and waits until the server has it. */
export async function deliver(page: Page, text: string): Promise<void> {
  await say(page, text);
  await page.locator(".message:not(.pending) .text").getByText(text, { exact: true }).first().waitFor();
}

/** Goes to a place of the page, as its links do. */
export async function goTo(page: Page, hash: string, title: string): Promise<void> {
  await page.evaluate(`location.hash = ${JSON.stringify(hash)}`);
  // the page shows the other place until the browser has told it of the new address
  await titled(page, `${title} – Tungstate`);
}

/** Returns the texts of all displayed messages in order. */
export function texts(page: Page): Promise<string[]> {
  return page.locator(".message .text").allTextContents();
}

export function sees(page: Page, text: string): Promise<unknown> {
  return page.locator(".message .text").getByText(text, { exact: true }).first().waitFor();
}

/**
 * Advances time in a `timeless` page, as fast as real time, until `is` accepts the result of
 * `read`.
 */
export function inTime<T>(page: Page, read: () => Promise<T>, is: (value: T) => boolean, what: string): Promise<T> {
  let last = performance.now();
  const next = async () => {
    const now = performance.now();
    await page.clock.runFor(Math.floor(now - last));
    last = now;
    return read();
  };
  return eventually(next, is, what);
}

/** Waits until a `timeless` page displays these messages. */
export function shows(page: Page, messages: readonly string[]): Promise<string[]> {
  return inTime(
    page,
    () => texts(page),
    (shown) => shown.join("\n") === messages.join("\n"),
    "the messages shown",
  );
}

/** Waits until a `timeless` page has no undelivered messages. */
export function delivered(page: Page): Promise<number> {
  return inTime(
    page,
    () => page.locator(".pending").count(),
    (count) => count === 0,
    "messages that were not delivered yet",
  );
}

/** Returns the seconds until the next attempt of a `timeless` page; NaN if it does not wait for one. */
async function countdownNow(page: Page): Promise<number> {
  const text = await page.getByRole("timer").textContent();
  return Number(/^Next attempt in (\d+) s\.$/.exec(text ?? "")?.[1]);
}

/** Returns the seconds until the next attempt of a `timeless` page. */
export function countdown(page: Page): Promise<number> {
  return eventually(
    () => countdownNow(page),
    (seconds) => !Number.isNaN(seconds),
    "a countdown",
  );
}

/** Advances the time by the countdown of a `timeless` page and waits for its connection. */
export async function comesBack(page: Page): Promise<void> {
  await countdown(page);
  await reconnects(page);
}

/**
 * Waits until a `timeless` page that has lost its connection is connected. Advances the time by its
 * countdowns; it shows none while it makes an attempt, which may be so before this is called.
 */
export async function reconnects(page: Page): Promise<void> {
  const status = async () => {
    const seconds = await countdownNow(page);
    if (seconds > 0) await page.clock.runFor(seconds * 1_000);
    return page.locator("#status-text").textContent();
  };
  await eventually(status, (text) => text === "Connected", "it is connected");
}

/** Connects at once instead of waiting for the page's next attempt. */
export async function triesNow(page: Page): Promise<void> {
  const state = async () => {
    await page.locator("#try-now").dispatchEvent("click");
    return page.locator("#status-text").textContent();
  };
  await eventually(state, (text) => text === "Connected", "it is connected");
}

export async function connected(page: Page): Promise<void> {
  await page.getByText("Connected", { exact: true }).waitFor();
}

/** Waits until the page shows that many people. */
export async function people(page: Page, count: number): Promise<void> {
  const text = count === 1 ? "Only you are here" : `${count} people here`;
  await page.getByRole("heading", { name: text, exact: true, includeHidden: true }).waitFor({ state: "attached" });
}
