import { type ChildProcess, spawn } from "node:child_process";
import { accessSync, constants, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import process from "node:process";

/** How a browser of the system is started with a page. */
interface Program {
  readonly commands: readonly string[];
  /** Arguments; `profile` is an empty folder. */
  arguments(profile: string, url: string): string[];
}

export const BROWSERS: Readonly<Record<string, Program>> = {
  Chromium: {
    commands: ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"],
    arguments: (profile, url) => [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--remote-debugging-port=0", // it ends after the page has loaded otherwise
      `--user-data-dir=${profile}`,
      url,
    ],
  },
  Firefox: {
    commands: ["firefox-esr", "firefox"],
    arguments: (profile, url) => {
      writeFileSync(join(profile, "user.js"), FIREFOX_PREFERENCES.map((line) => `user_pref(${line});\n`).join(""));
      return ["--headless", "--no-remote", "--profile", profile, url];
    },
  },
};

/** No requests to other hosts, no page of its own. */
const FIREFOX_PREFERENCES = [
  '"browser.shell.checkDefaultBrowser", false',
  '"browser.aboutwelcome.enabled", false',
  '"datareporting.policy.dataSubmissionEnabled", false',
  '"toolkit.telemetry.enabled", false',
  '"app.update.enabled", false',
  '"app.normandy.enabled", false',
  '"browser.safebrowsing.malware.enabled", false',
  '"browser.safebrowsing.phishing.enabled", false',
  '"extensions.update.enabled", false',
  '"network.captive-portal-service.enabled", false',
  '"network.connectivity-service.enabled", false',
  '"services.settings.server", "data:,"',
  '"network.dns.disablePrefetch", true',
  '"browser.startup.homepage_override.mstone", "ignore"',
];

/** Opens a page in a browser of the system. Returns what ends it. */
export function openPage(program: Program, url: string): AsyncDisposable {
  const profile = mkdtempSync(join(tmpdir(), "tungstate-browser-"));
  const child = spawn(pathOf(program), program.arguments(profile, url), {
    stdio: "ignore",
    detached: true, // so that its other processes end with it
    env: { ...process.env, HOME: profile, MOZ_CRASHREPORTER_DISABLE: "1" },
  });
  const exited = new Promise<void>((resolve) => child.once("close", () => resolve()));
  return {
    async [Symbol.asyncDispose]() {
      end(child);
      await exited;
      rmSync(profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
    },
  };
}

function end({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // it has ended
  }
}

/** Returns the path of a browser. Throws if it is not installed. */
export function pathOf({ commands }: Program): string {
  for (const command of commands) {
    for (const folder of (process.env["PATH"] ?? "").split(delimiter)) {
      try {
        accessSync(join(folder, command), constants.X_OK);
        return join(folder, command);
      } catch {
        // not in this folder
      }
    }
  }
  throw new Error(`none of ${commands.join(", ")} is on PATH: run node scripts/system-packages.mjs`);
}
