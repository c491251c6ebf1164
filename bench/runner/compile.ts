import { build } from "esbuild";
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import process from "node:process";

/**
 * Compiles scripts to plain programs in a folder, `x.ts` to `x.mjs`: what is measured has no loader's memory in it, and no function that a
 * loader wrapped. Packages stay what they are.
 */
export async function compileScripts(sources: readonly string[], folder: string): Promise<void> {
  const { outputFiles } = await build({
    write: false,
    entryPoints: [...sources],
    outdir: folder,
    bundle: true,
    packages: "external",
    platform: "node",
    format: "esm",
    target: "node20",
    outExtension: { ".js": ".mjs" },
    logLevel: "warning",
  });
  mkdirSync(folder, { recursive: true });
  for (const { path, contents } of outputFiles) {
    // who runs it meanwhile finds a whole program
    const made = `${path}.${process.pid}`;
    writeFileSync(made, contents);
    renameSync(made, path);
  }
}
