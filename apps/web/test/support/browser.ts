import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import process from "node:process";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";

const NAMES = ["chromium", "chromium-browser", "google-chrome"];
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
const PATIENCE_MS = 30_000; // for whatever a test waits for

function findChromium(): string {
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    for (const name of NAMES) {
      try {
        accessSync(join(folder, name), constants.X_OK);
        return join(folder, name);
      } catch {
        // not there
      }
    }
  }
  throw new Error(`none of ${NAMES.join(", ")} is on PATH`);
}

/** A browser, and what went wrong in its pages. */
export class TestBrowser implements AsyncDisposable {
  /** Errors of scripts and of the Content-Security-Policy, in all tabs. */
  readonly errors: string[] = [];
  private readonly browser: Browser;

  private constructor(browser: Browser) {
    this.browser = browser;
  }

  static async start(): Promise<TestBrowser> {
    return new TestBrowser(await chromium.launch({ executablePath: findChromium(), args: FLAGS }));
  }

  /** A tab with stores of its own, as another person's. */
  async tab(url: string, options: BrowserContextOptions = {}): Promise<Page> {
    const context = await this.browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
    const page = await context.newPage();
    await this.watch(page, url);
    return page;
  }

  /** Another tab of the same person. */
  async sibling(page: Page): Promise<Page> {
    const other = await page.context().newPage();
    await this.watch(other, page.url());
    return other;
  }

  private async watch(page: Page, url: string): Promise<void> {
    page.setDefaultTimeout(PATIENCE_MS);
    page.on("pageerror", (error) => this.errors.push(String(error)));
    page.on("console", (message) => {
      // that a connection failed is what some tests are about
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

  async [Symbol.asyncDispose](): Promise<void> {
    await this.browser.close();
  }
}

/** Waits until `read` gives what `is` wants. */
export async function eventually<T>(read: () => Promise<T> | T, is: (value: T) => boolean, what: string): Promise<T> {
  const until = performance.now() + PATIENCE_MS;
  for (;;) {
    const value = await read();
    if (is(value)) return value;
    if (performance.now() > until) throw new Error(`${what}: still ${JSON.stringify(value)}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

export async function say(page: Page, text: string): Promise<void> {
  await page.getByRole("textbox", { name: "Message" }).fill(text);
  await page.keyboard.press("Enter");
}

/** The texts of all messages shown, in order. */
export function texts(page: Page): Promise<string[]> {
  return page.locator(".message .text").allTextContents();
}

export function sees(page: Page, text: string): Promise<unknown> {
  return page.locator(".message .text").getByText(text, { exact: true }).first().waitFor();
}

export async function connected(page: Page): Promise<void> {
  await page.getByText("Connected", { exact: true }).waitFor();
}

/** Waits until that many are said to be here. */
export async function people(page: Page, count: number): Promise<void> {
  const text = count === 1 ? "Only you are here" : `${count} people here`;
  await page.getByRole("heading", { name: text, exact: true, includeHidden: true }).waitFor({ state: "attached" });
}
