import { defineConfig } from "vite";
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const outDir = fileURLToPath(new URL("../../packages/cli/public", import.meta.url));

/** The font's licence goes wherever the font goes. */
const fontLicence = {
  name: "font-licence",
  closeBundle() {
    const font = import.meta.resolve("@fontsource-variable/ibm-plex-sans/package.json");
    copyFileSync(new URL("LICENSE", font), join(outDir, "assets", "IBM-Plex-Sans.LICENSE.txt"));
  },
};

/** Builds the page into the cli package. `npx vite` serves it while it is worked on, with the WebSockets of an `npm start` beside it. */
export default defineConfig({
  logLevel: "warn",
  build: {
    outDir,
    emptyOutDir: true,
    // The Content-Security-Policy allows files of our own and nothing inline.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    proxy: {
      "/ws": { target: "http://127.0.0.1:8000", ws: true },
      "/connection/websocket": { target: "http://127.0.0.1:8000", ws: true },
    },
  },
  plugins: [fontLicence],
});
