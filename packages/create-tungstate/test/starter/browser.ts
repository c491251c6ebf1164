import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import process from "node:process";

const NAMES = ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"];

/** Returns the path of a Chromium on PATH. */
export function findBrowser(): string {
  for (const name of NAMES) {
    for (const folder of (process.env["PATH"] ?? "").split(delimiter)) {
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
