import { defineConfig } from "vite";
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { createRequire } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";

const outDir = fileURLToPath(new URL("../../packages/cli/public", import.meta.url));

/** The bundled packages and their licence files, which are served with the page. */
const LICENCES = {
  "IBM-Plex-Sans": new URL("LICENSE", import.meta.resolve("@fontsource-variable/ibm-plex-sans/package.json")),
  centrifuge: new URL("../LICENSE", import.meta.resolve("centrifuge")),
  // part of centrifuge
  events: new URL("LICENSE", pathToFileURL(createRequire(import.meta.resolve("centrifuge")).resolve("events/"))),
  uPlot: new URL("../LICENSE", import.meta.resolve("uplot")),
};

const licences = {
  name: "licences",
  closeBundle() {
    for (const [name, file] of Object.entries(LICENCES))
      copyFileSync(file, join(outDir, "assets", `${name}.LICENSE.txt`));
  },
};

/**
 * Builds the page into the cli package. `npx vite` serves it during development, with the
 * WebSockets of an `npm start` on the same machine.
 */
export default defineConfig({
  logLevel: "warn",
  build: {
    outDir,
    emptyOutDir: true,
    // The Content-Security-Policy allows only files of the server and nothing inline.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    proxy: {
      "/ws": { target: "http://127.0.0.1:8000", ws: true },
      "/connection/websocket": { target: "http://127.0.0.1:8000", ws: true },
    },
  },
  plugins: [licences],
});
