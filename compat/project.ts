// A project of its own that has the programs from the registry, and ws or this project's package
// under the name ws.
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const SCENARIOS = fileURLToPath(new URL("scenarios", import.meta.url));

/** The version of ws that the drop-in is compared with. */
const WS = "8.23.0";

/** The name in the manifest of the package that is installed as ws. */
export const ENGINES = ["ws", "@tungstate/ws"] as const;
export type Engine = (typeof ENGINES)[number];

const INSTALL_LIMIT = 300_000; // ms

function npm(folder: string, args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync("npm", args, {
    cwd: folder,
    encoding: "utf8",
    timeout: INSTALL_LIMIT,
  });
  if (status !== 0) throw new Error(`npm ${args.join(" ")} failed: ${error?.message ?? stderr}`);
  return stdout;
}

/** Packs the drop-in and what it depends on. Returns the tarballs by package name. */
export function packAll(folder: string): ReadonlyMap<string, string> {
  mkdirSync(folder, { recursive: true });
  return new Map(
    ["ws", "tungstate", "protocol"].map((name) => {
      const source = join(root, "packages", name);
      const output = npm(source, ["pack", "--json", "--ignore-scripts", "--pack-destination", folder]);
      const [packed] = [JSON.parse(output) as { filename: string; name: string }[]].flat();
      if (packed === undefined) throw new Error(`npm pack printed nothing for ${source}`);
      return [packed.name, join(folder, packed.filename)];
    }),
  );
}

/** Installs packages into a new folder, and copies the scenarios there. */
export function install(
  folder: string,
  engine: Engine,
  packages: Readonly<Record<string, string>>,
  tarballs: ReadonlyMap<string, string>,
): void {
  const file = (name: string): string => `file:${tarballs.get(name) ?? ""}`;
  const manifest =
    engine === "ws"
      ? { dependencies: { ...packages, ws: WS }, overrides: { ws: WS } }
      : {
          dependencies: {
            ...packages,
            ws: file("@tungstate/ws"),
            tungstate: file("tungstate"),
            "@tungstate/protocol": file("@tungstate/protocol"),
          },
          overrides: { ws: "$ws" },
        };
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, ...manifest }, undefined, 2));
  npm(folder, ["install", "--no-audit", "--no-fund", "--prefer-offline", "--ignore-scripts", "--install-links"]);
  const copies = readdirSync(join(folder, "node_modules"), { recursive: true, encoding: "utf8" }).filter((path) =>
    /(?:^|\/)node_modules\/ws\/package\.json$/.test(path),
  );
  if (copies.length > 0) throw new Error(`the override left other copies of ws: ${copies.join(", ")}`);
  cpSync(SCENARIOS, folder, { recursive: true });
}

export function versionOf(folder: string, name: string): string {
  const manifest = JSON.parse(readFileSync(join(folder, "node_modules", name, "package.json"), "utf8")) as {
    version: string;
  };
  return manifest.version;
}
