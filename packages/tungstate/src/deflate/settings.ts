import {
  clientDeflate,
  clientDeflateWithFallback,
  type ClientExtension,
  type DeflateParams,
  type DeflateOptions,
  serverDeflate,
  type ServerExtension,
  type WindowBits,
} from "@tungstate/protocol";
import { argumentError } from "@tungstate/protocol/internal";
import type { OptionNames } from "../options/names.ts";

/** permessage-deflate (RFC 7692). `docs/compression.md` has the figures behind the defaults. */
export interface CompressionOptions {
  /**
   * Lets a message refer back to earlier ones of its connection, which makes small, similar
   * messages smaller. Costs each connection up to `2 ** windowBits` bytes in each direction that
   * the peer agrees to, and CPU time. Default false.
   */
  readonly contextTakeover?: boolean;
  /**
   * How far back a message may refer: `2 ** windowBits` bytes, 8 to 15. Default 15, or 12 with
   * `contextTakeover`. Asked of the peer for its messages too, but without `contextTakeover` only
   * if less than 15.
   */
  readonly windowBits?: WindowBits;
  /**
   * Client only: adds two offers after those made from the options above, for servers that decline
   * these: `client_max_window_bits` alone, as browsers offer, and no parameter. A server that
   * accepts one of the two may refer back to earlier messages, which costs the connection up to 32
   * KiB. With false, the connection to such a server is uncompressed, or the handshake fails.
   * Default true.
   */
  readonly fallbackOffers?: boolean;
  /**
   * zlib's memLevel, 1 to 9: what deflating uses while it works, in three or so places of the
   * process. Default 8.
   */
  readonly memLevel?: number;
  /** zlib's level, 1 (fastest) to 9 (smallest). Default 2. */
  readonly level?: number;
  /** Messages of fewer bytes go out as they are. Default 128, or 32 with `contextTakeover`. */
  readonly threshold?: number;
  /**
   * Messages of more bytes (uncompressed) are deflated and inflated off the event loop, and up to
   * so many bytes of one message block it. 1 KiB to 16 MiB; default 64 KiB.
   */
  readonly asyncThreshold?: number;
  /**
   * Whether binary messages are compressed too. Set it to false where they are images, audio and
   * the like. Default true.
   */
  readonly binary?: boolean;
}

export const COMPRESSION_OPTIONS: OptionNames<CompressionOptions> = {
  contextTakeover: true,
  windowBits: true,
  fallbackOffers: true,
  memLevel: true,
  level: true,
  threshold: true,
  asyncThreshold: true,
  binary: true,
};

/** The same, checked and complete. */
export interface CompressionSettings extends Required<CompressionOptions> {}

const DEFAULT_LEVEL = 2;
const DEFAULT_MEMORY_LEVEL = 8;
const DEFAULT_ASYNC_SIZE = 64 * 1024; // bytes
/** Bytes; two buffers of this size are kept for the process. */
const LARGEST_ASYNC_SIZE = 16 * 1024 * 1024;

/** Undefined: no compression. Throws INVALID_ARGUMENT for an invalid option. */
export function compressionSettings(option: boolean | CompressionOptions | undefined): CompressionSettings | undefined {
  if (option === undefined || option === false) return undefined;
  const given: CompressionOptions = option === true ? {} : option;
  if (typeof given !== "object" || given === null) throw invalid("", "a boolean or an object", given);
  const contextTakeover = flag("contextTakeover", given.contextTakeover, false);
  return {
    contextTakeover,
    windowBits: integer("windowBits", given.windowBits, 8, 15, contextTakeover ? 12 : 15) as WindowBits,
    fallbackOffers: flag("fallbackOffers", given.fallbackOffers, true),
    memLevel: integer("memLevel", given.memLevel, 1, 9, DEFAULT_MEMORY_LEVEL),
    level: integer("level", given.level, 1, 9, DEFAULT_LEVEL),
    threshold: integer("threshold", given.threshold, 0, Infinity, contextTakeover ? 32 : 128),
    asyncThreshold: integer("asyncThreshold", given.asyncThreshold, 1024, LARGEST_ASYNC_SIZE, DEFAULT_ASYNC_SIZE),
    binary: flag("binary", given.binary, true),
  };
}

function invalid(name: string, expected: string, got: unknown): Error {
  const shown = typeof got === "number" || typeof got === "boolean" ? String(got) : `a value of type ${typeof got}`;
  return argumentError(TypeError, `compression${name} must be ${expected}, got ${shown}`);
}

function flag(name: string, value: boolean | undefined, otherwise: boolean): boolean {
  if (value === undefined) return otherwise;
  if (typeof value === "boolean") return value;
  throw invalid(`.${name}`, "a boolean", value);
}

function integer(name: string, value: number | undefined, least: number, most: number, otherwise: number): number {
  if (value === undefined) return otherwise;
  if ((Number.isInteger(value) || value === Infinity) && value >= least && value <= most) return value;
  throw invalid(
    `.${name}`,
    most === Infinity ? `an integer of at least ${least}` : `an integer from ${least} to ${most}`,
    value,
  );
}

export function serverCompression(settings: CompressionSettings): ServerExtension<DeflateParams> {
  return serverDeflate(preferences(settings, "server"));
}

/**
 * Asks for what is set; a server that can't promise a window of that size may take the second
 * offer, without context takeover.
 */
export function clientCompression(settings: CompressionSettings): ClientExtension<DeflateParams> {
  const wanted = settings.contextTakeover ? [preferences(settings, "client"), {}] : [preferences(settings, "client")];
  return settings.fallbackOffers ? clientDeflateWithFallback(...wanted) : clientDeflate(...wanted);
}

function preferences({ contextTakeover, windowBits }: CompressionSettings, role: "client" | "server"): DeflateOptions {
  // a window of the peer's that no message outlives costs nothing here, so it need not be limited
  const peerWindowBits = contextTakeover ? windowBits : 15;
  return {
    serverContextTakeover: contextTakeover,
    clientContextTakeover: contextTakeover,
    serverMaxWindowBits: role === "server" ? windowBits : peerWindowBits,
    clientMaxWindowBits: role === "client" ? windowBits : peerWindowBits,
  };
}
