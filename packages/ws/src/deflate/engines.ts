import type { DeflateEngine, DeflateParams } from "@tungstate/protocol";
import { MessageCodec, type WindowBits } from "@tungstate/protocol";
import { zlibEngine } from "tungstate/internal";
import { runtime } from "../runtime.ts";
import type { PerMessageDeflate } from "./permessage-deflate.ts";

const DEFAULT_LEVEL = 2; // as the core's own: see docs/compression.md
const ZLIB_LEVEL = 6; // the level that -1 selects in zlib
const DEFAULT_MEM_LEVEL = 8;
const ASYNC_THRESHOLD = 64 * 1024; // bytes
const MAX_ENGINES = 32;

const engines = new Map<string, DeflateEngine>();

/** Returns the engine for these options. Connections with the same options share it. */
function engineFor(threshold: number, level: number, memLevel: number): DeflateEngine {
  const key = `${threshold}/${level}/${memLevel}`;
  const known = engines.get(key);
  if (known !== undefined) return known;
  const engine = zlibEngine(runtime, {
    threshold,
    level,
    memLevel,
    asyncThreshold: ASYNC_THRESHOLD,
    binary: true,
    contextTakeover: false,
    windowBits: 15,
    fallbackOffers: false,
  });
  if (engines.size < MAX_ENGINES) engines.set(key, engine);
  return engine;
}

function bits(value: unknown): WindowBits {
  return (typeof value === "number" ? value : 15) as WindowBits;
}

/**
 * Returns the codec of a connection. By default, each message is compressed independently, so that
 * the connection keeps no context. `clientNoContextTakeover: false` or
 * `serverNoContextTakeover: false` keeps the context.
 */
export function codecOf(extension: PerMessageDeflate): MessageCodec {
  const { options, resetsOwn } = extension;
  const params = extension.params ?? {};
  const own = extension.isServer ? "server" : "client";
  const sparesOwn = resetsOwn || options[`${own}NoContextTakeover`] !== false;
  const negotiated: DeflateParams = {
    serverNoContextTakeover: own === "server" ? sparesOwn : params["server_no_context_takeover"] === true,
    clientNoContextTakeover: own === "client" ? sparesOwn : params["client_no_context_takeover"] === true,
    serverMaxWindowBits: bits(params["server_max_window_bits"]),
    clientMaxWindowBits: bits(params["client_max_window_bits"]),
  };
  const { level, memLevel } = options.zlibDeflateOptions ?? {};
  const engine = engineFor(
    resetsOwn ? extension.threshold : 0, // as ws: it holds where contexts are not taken over
    level === undefined ? DEFAULT_LEVEL : level < 0 ? ZLIB_LEVEL : level,
    memLevel ?? DEFAULT_MEM_LEVEL,
  );
  return new MessageCodec(negotiated, own, engine);
}

/**
 * Adds parameters to the response of a server, so that by default neither end keeps the context of
 * earlier messages. A server may choose that (RFC 7692 §7.1.1).
 */
export function spareContexts({ params, options }: PerMessageDeflate): void {
  if (params === null) return;
  if (options.serverNoContextTakeover === undefined) params["server_no_context_takeover"] = true;
  if (options.clientNoContextTakeover === undefined) params["client_no_context_takeover"] = true;
}
