import type * as Http2 from "node:http2";
import { connectError } from "../errors.ts";
import { platform } from "../native/platform.ts";

/** Runtimes that have node:http2, and what their clients lack. */
const LACKS: Readonly<Record<string, string>> = {
  Bun: "streams that continue after a pause", // Bun 1.4
  workerd: "connect()",
};

/**
 * Returns node:http2, which is loaded when it is needed for the first time. Throws NOT_SUPPORTED on
 * a runtime whose clients of HTTP/2 cannot be used. `load`, `runtime`: replaced by tests.
 */
export async function loadHttp2(load = importHttp2, { name, version } = platform): Promise<typeof Http2> {
  let lacks = LACKS[name];
  let cause: unknown;
  try {
    const http2 = await load();
    if (typeof http2.connect !== "function") lacks ??= "connect()";
    if (lacks === undefined) return http2;
  } catch (error) {
    cause = error;
  }
  const here = `${name} ${version}`.trim();
  throw connectError("NOT_SUPPORTED", `httpVersion "2": node:http2 of ${here} lacks ${lacks ?? "clients"}`, { cause });
}

async function importHttp2(): Promise<typeof Http2> {
  return await import("node:http2");
}
