// What every server of this benchmark is: a process of its own that listens on 127.0.0.1, prints
// one line "listening PORT NAME AND VERSION" and has three routes. /echo every message comes back,
// with its type /broadcast every message goes to all connections, the sender's included /burst the
// text "burst N S" is answered with N binary messages of S bytes "x", as fast as back pressure
// allows Its environment says the rest: PORT (0: any), DEFLATE=1 (permessage-deflate, without
// context takeover), TLS_KEY and TLS_CERT (files), ROUTE and OPTION (Tungstate only). For
// `tungstate serve`, whose broadcast has the path /ws, the others have that path too.
import { readFileSync } from "node:fs";
import process from "node:process";

export interface ServerOptions {
  readonly host: string;
  readonly port: number;
  readonly deflate: boolean;
  readonly tls: { readonly key: string; readonly cert: string } | undefined;
  /** See `ServerRoute` in ../rows.ts. Undefined: a port of its own. */
  readonly route: string | undefined;
  /** A special option of the echo. */
  readonly option: string | undefined;
}

export const MAX_MESSAGE = 64 * 1024 * 1024; // bytes
// bytes of a burst that may be buffered if the server has no limit of its own
export const BURST_WAITING = 1024 * 1024;

export function serverOptions(): ServerOptions {
  const { PORT = "0", DEFLATE, TLS_KEY: key, TLS_CERT: cert, ROUTE: route, OPTION: option } = process.env;
  return {
    host: "127.0.0.1",
    port: Number(PORT),
    deflate: DEFLATE === "1",
    tls: key === undefined || cert === undefined ? undefined : { key, cert },
    route,
    option,
  };
}

export function readTls(files: { readonly key: string; readonly cert: string }): { key: string; cert: string } {
  return { key: readFileSync(files.key, "utf8"), cert: readFileSync(files.cert, "utf8") };
}

export function listening(port: number, name: string): void {
  process.stdout.write(`listening ${port} ${name}\n`);
}

/** Returns the version of a package from its manifest. */
export function versionOf(manifest: URL | string): string {
  const { version } = JSON.parse(readFileSync(manifest, "utf8")) as { version: string };
  return version;
}

/** Parses a burst request. Returns undefined for other messages. */
export function parseBurst(text: string): { count: number; payload: Uint8Array } | undefined {
  const [, count, size] = /^burst (\d{1,9}) (\d{1,6})$/.exec(text) ?? [];
  if (count === undefined) return undefined;
  return { count: Number(count), payload: new Uint8Array(Number(size)).fill(0x78) };
}

/**
 * Calls `send` until `count` messages were sent or it returns false. Returns a function that
 * resumes.
 */
export function burster(count: number, send: () => boolean): () => void {
  let left = count;
  return () => {
    while (left > 0) {
      left--;
      if (!send()) return;
    }
  };
}
