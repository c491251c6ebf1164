// An npm registry on a loopback port: the packages of this repository, packed. For other packages
// it redirects to the configured registry.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { npmCommand } from "../../../../scripts/npm.mjs";
import { readPackages } from "../../../../scripts/workspaces.mjs";

interface Packed {
  readonly filename: string;
  readonly bytes: Buffer;
  readonly manifest: { readonly name: string; readonly version: string };
}

/** Runs npm and returns what it prints to stdout. */
function npm(cwd: string, ...args: readonly string[]): string {
  const [command, all] = npmCommand("npm", args);
  return execFileSync(command, all, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
}

/** Packs all published packages into a folder. */
export function packAll(folder: string): Packed[] {
  return readPackages()
    .filter(({ manifest }) => manifest.private !== true)
    .map(({ folder: source, manifest }) => {
      const output = npm(source, "pack", "--json", "--ignore-scripts", "--pack-destination", folder);
      const [packed] = [JSON.parse(output) as { filename: string }[]].flat();
      if (packed === undefined) throw new Error(`npm pack printed nothing for ${manifest.name}`);
      return { filename: packed.filename, bytes: readFileSync(join(folder, packed.filename)), manifest };
    });
}

/** A running registry. */
export interface Registry extends AsyncDisposable {
  readonly url: string;
}

export async function startRegistry(packages: readonly Packed[]): Promise<Registry> {
  const upstream = npm(process.cwd(), "config", "get", "registry").trim().replace(/\/$/, "");
  let url = "";
  const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url ?? "/").slice(1);
    const tarball = packages.find(({ filename }) => path === `tarballs/${filename}`);
    const packed = packages.find(({ manifest }) => path === manifest.name);
    if (tarball !== undefined) {
      response.writeHead(200, { "content-type": "application/octet-stream" }).end(tarball.bytes);
    } else if (packed !== undefined) {
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(documentOf(packed, url)));
    } else {
      response.writeHead(302, { location: upstream + (request.url ?? "/") }).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the registry has no port");
  url = `http://127.0.0.1:${address.port}`;
  return {
    url,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Returns the document of a package, as a registry has it. */
function documentOf({ filename, bytes, manifest }: Packed, url: string): unknown {
  const integrity = `sha512-${createHash("sha512").update(bytes).digest("base64")}`;
  const dist = { tarball: `${url}/tarballs/${filename}`, integrity };
  return {
    name: manifest.name,
    "dist-tags": { latest: manifest.version },
    versions: { [manifest.version]: { ...manifest, dist } },
  };
}
