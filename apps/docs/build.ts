// Builds the documentation site into apps/docs/dist/site: npm run docs.
import { existsSync } from "node:fs";
import process from "node:process";
import { commandLine, flag, integer, text } from "../../scripts/command-line.mjs";
import { output } from "./site/folders.ts";
import { serveSite } from "./site/serve.ts";

const { base, serve, port, fail } = commandLine({
  command: "npm run docs --",
  summary: "Builds the documentation site into apps/docs/dist/site.",
  options: {
    base: text({ argument: "path", help: "path of the site on its host", byDefault: "/" }),
    serve: flag("serve the built site; build only if there is none"),
    port: integer({ least: 0, most: 65_535, help: "port of --serve", byDefault: 4173 }),
  },
});
if (!/^\/(?:.*\/)?$/.test(base)) fail(`--base must begin and end with a slash, got ${JSON.stringify(base)}`);

if (!serve || !existsSync(output)) {
  process.env["DOCS_BASE"] = base; // read by .vitepress/config.ts
  // after the checks of the command line, because loading the generators takes a second
  const { buildSite } = await import("./site/build.ts");
  await buildSite();
}
if (serve) {
  const site = await serveSite(port);
  console.log(`serving the site on ${site.url}`);
}
