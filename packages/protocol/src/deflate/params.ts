import type { ExtensionParams } from "../handshake/extensions.ts";
import { quote } from "../arguments.ts";

/** The base-2 logarithm of an LZ77 window in bytes: 256 bytes to 32 KiB. RFC 7692 §7.1.2. */
export type WindowBits = 8 | 9 | 10 | 11 | 12 | 13 | 14 | 15;

export const MIN_WINDOW_BITS = 8;
/** Window size without a parameter: RFC 7692 §7.1.2.1, §7.1.2.2. */
export const MAX_WINDOW_BITS = 15;

/** What both ends have agreed on. RFC 7692 §7.1. */
export interface DeflateParams {
  /** The server begins each message with an empty window. */
  readonly serverNoContextTakeover: boolean;
  /** The client begins each message with an empty window. */
  readonly clientNoContextTakeover: boolean;
  /** The server refers back at most `2 ** serverMaxWindowBits` bytes. */
  readonly serverMaxWindowBits: WindowBits;
  /** The client refers back at most `2 ** clientMaxWindowBits` bytes. */
  readonly clientMaxWindowBits: WindowBits;
}

/** How the messages of one direction are compressed. */
export interface DeflateDirection {
  /** Whether a message may refer back to the ones before it. */
  readonly contextTakeover: boolean;
  /** The base-2 logarithm of the window in bytes, 8 to 15. */
  readonly windowBits: WindowBits;
}

/** Returns how the given end deflates its messages, and how its peer does. */
export function deflateDirections(
  params: DeflateParams,
  role: "client" | "server",
): { readonly deflate: DeflateDirection; readonly inflate: DeflateDirection } {
  const server = { contextTakeover: !params.serverNoContextTakeover, windowBits: params.serverMaxWindowBits };
  const client = { contextTakeover: !params.clientNoContextTakeover, windowBits: params.clientMaxWindowBits };
  return role === "server" ? { deflate: server, inflate: client } : { deflate: client, inflate: server };
}

/**
 * The parameters of one offer or answer as they are written. `true`: `client_max_window_bits`
 * without a value.
 */
export interface RawDeflateParams {
  serverNoContextTakeover: boolean;
  clientNoContextTakeover: boolean;
  serverMaxWindowBits: WindowBits | undefined;
  clientMaxWindowBits: WindowBits | true | undefined;
}

/**
 * RFC 7692 §7.1.2.1: "a decimal integer value without leading zeroes between 8 to 15, inclusive"
 */
function windowBits(value: string | true): WindowBits | undefined {
  if (value === true || !/^(?:[89]|1[0-5])$/.test(value)) return undefined;
  return Number(value) as WindowBits;
}

/**
 * Returns the parameters of an offer or an answer, or a text that says what is wrong with them. RFC
 * 7692 §7.1 for both: it must not contain "an extension parameter not defined for use in" it, one
 * "with an invalid value", or "multiple extension parameters with the same name".
 */
export function readDeflateParams(params: ExtensionParams, kind: "offer" | "answer"): RawDeflateParams | string {
  const raw: RawDeflateParams = {
    serverNoContextTakeover: false,
    clientNoContextTakeover: false,
    serverMaxWindowBits: undefined,
    clientMaxWindowBits: undefined,
  };
  const seen = new Set<string>();
  for (const [name, value] of params) {
    if (seen.has(name)) return `${quote(name)} came twice`;
    seen.add(name);
    switch (name) {
      case "server_no_context_takeover":
      case "client_no_context_takeover":
        // §7.1.1.1, §7.1.1.2: "This extension parameter has no value."
        if (value !== true) return `${name} has no value, got ${quote(value)}`;
        if (name === "server_no_context_takeover") raw.serverNoContextTakeover = true;
        else raw.clientNoContextTakeover = true;
        break;
      case "server_max_window_bits":
        raw.serverMaxWindowBits = windowBits(value);
        if (raw.serverMaxWindowBits === undefined) return expectedBits(name, value);
        break;
      case "client_max_window_bits":
        // §7.1.2.2: a value in an offer is optional, in an answer it is not
        raw.clientMaxWindowBits = value === true && kind === "offer" ? true : windowBits(value);
        if (raw.clientMaxWindowBits === undefined) return expectedBits(name, value);
        break;
      default:
        return `${quote(name)} is not a parameter of permessage-deflate`;
    }
  }
  return raw;
}

function expectedBits(name: string, value: string | true): string {
  return `${name} must be an integer from 8 to 15, got ${value === true ? "no value" : quote(value)}`;
}

export function writeDeflateParams(raw: RawDeflateParams): ExtensionParams {
  const params: [string, string | true][] = [];
  if (raw.serverNoContextTakeover) params.push(["server_no_context_takeover", true]);
  if (raw.clientNoContextTakeover) params.push(["client_no_context_takeover", true]);
  const { serverMaxWindowBits, clientMaxWindowBits } = raw;
  if (serverMaxWindowBits !== undefined) params.push(["server_max_window_bits", String(serverMaxWindowBits)]);
  if (clientMaxWindowBits !== undefined) {
    params.push(["client_max_window_bits", clientMaxWindowBits === true ? true : String(clientMaxWindowBits)]);
  }
  return params;
}
