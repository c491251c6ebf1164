import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { extname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { type Answer, PAGE_HEADERS } from "./routes.ts";

interface File {
  readonly bytes: Buffer;
  readonly type: string;
  readonly etag: string;
}

/** The files of the web page by URL path. */
export type Page = ReadonlyMap<string, File>;

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".txt": "text/plain; charset=utf-8",
  ".woff2": "font/woff2",
};

/** Reads the page from the folder `public`. Throws if it has not been built. */
export async function loadPage(): Promise<Page> {
  const root = fileURLToPath(new URL("../../public", import.meta.url));
  const page = new Map<string, File>();
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const bytes = await readFile(path);
    const url = `/${relative(root, path).split(sep).join("/")}`;
    const file = {
      bytes,
      type: TYPES[extname(entry.name)] ?? "application/octet-stream",
      etag: `"${createHash("sha256").update(bytes).digest("base64url").slice(0, 22)}"`,
    };
    page.set(url === "/index.html" ? "/" : url, file);
  }
  if (!page.has("/")) throw new Error("the web page has not been built: run npm run build");
  return page;
}

/** Returns the response for a file. `known` is the value of If-None-Match. */
export function pageAnswer(path: string, file: File, known: string | undefined): Answer {
  const { bytes, type, etag } = file;
  if (known === etag) return { status: 304, headers: { etag, ...PAGE_HEADERS } };
  // names of built assets contain a hash of their contents
  const cache = path.startsWith("/assets/") ? "public, max-age=31536000, immutable" : "no-cache";
  return { status: 200, headers: { "content-type": type, "cache-control": cache, etag, ...PAGE_HEADERS }, body: bytes };
}
