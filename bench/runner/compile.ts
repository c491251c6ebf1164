import { build } from "esbuild";

/**
 * Compiles scripts to plain programs in a folder, `x.ts` to `x.mjs`: what is measured has no loader's memory in it, and no function that a
 * loader wrapped. Packages stay what they are.
 */
export async function compileScripts(sources: readonly string[], folder: string): Promise<void> {
  await build({
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
}
