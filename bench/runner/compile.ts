import { build } from "esbuild";
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import process from "node:process";

/**
 * Compiles scripts to programs in a folder, `x.ts` to `x.mjs`, so that measurements include no
 * loader's memory or wrapped functions. Packages are not bundled.
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
    // written elsewhere and renamed, so that a concurrent run never sees a partial program
    const made = `${path}.${process.pid}`;
    writeFileSync(made, contents);
    renameSync(made, path);
  }
}
