import type { ClientRequest } from "node:http";
import type { RequestOptions } from "node:https";
import type { Socket } from "node:net";
import net from "node:net";
import tls from "node:tls";
import { DEFAULTS } from "../constants.ts";
import type { PerMessageDeflateOptions } from "../deflate/permessage-deflate.ts";
import { checkPolicies, type Policies } from "../endpoint/policies.ts";
import type { GenerateMask } from "../runtime.ts";

/** Options of a client: those of ws, and those of `http.request` and `https.request`. */
export interface ClientOptions extends Omit<RequestOptions, "headers" | "protocol"> {
  readonly allowSynchronousEvents?: boolean;
  readonly autoPong?: boolean;
  readonly closeTimeout?: number;
  readonly finishRequest?: (request: ClientRequest, websocket: never) => void;
  readonly followRedirects?: boolean;
  readonly generateMask?: GenerateMask;
  readonly handshakeTimeout?: number;
  readonly headers?: Record<string, unknown>;
  readonly maxBufferedChunks?: number;
  readonly maxFragments?: number;
  readonly maxPayload?: number;
  readonly maxPendingAutoPongs?: number;
  readonly maxRedirects?: number;
  readonly origin?: string;
  readonly perMessageDeflate?: boolean | PerMessageDeflateOptions;
  readonly protocols?: string | readonly string[];
  readonly protocolVersion?: number;
  readonly skipUTF8Validation?: boolean;
  /** Policies of the core, which are off by default. */
  readonly tungstate?: Policies;
}

/** The options of a request, while they are being created. */
export interface ResolvedOptions extends Omit<RequestOptions, "headers" | "protocol"> {
  allowSynchronousEvents: boolean;
  autoPong: boolean;
  closeTimeout: number;
  finishRequest?: ((request: ClientRequest, websocket: never) => void) | undefined;
  followRedirects: boolean;
  generateMask?: GenerateMask | undefined;
  handshakeTimeout?: number | undefined;
  headers?: Record<string, unknown>;
  maxBufferedChunks: number;
  maxFragments: number;
  maxPayload: number;
  maxPendingAutoPongs: number;
  maxRedirects: number;
  origin?: string | undefined;
  perMessageDeflate: boolean | PerMessageDeflateOptions;
  protocolVersion: number;
  skipUTF8Validation: boolean;
  tungstate?: Policies | undefined;
}

const VERSIONS = [8, 13];

/** Options that the URL overrides. */
const OF_THE_URL = {
  socketPath: undefined,
  hostname: undefined,
  protocol: undefined,
  protocols: undefined,
  timeout: undefined,
  method: "GET",
  host: undefined,
  path: undefined,
  port: undefined,
};

/** Returns the options with their defaults. Throws a RangeError for an unknown protocol version. */
export function resolveOptions(options: ClientOptions | undefined): ResolvedOptions {
  const resolved = {
    ...DEFAULTS,
    protocolVersion: 13,
    perMessageDeflate: true,
    followRedirects: false,
    maxRedirects: 10,
    ...options,
    ...OF_THE_URL,
  } as ResolvedOptions;
  if (!VERSIONS.includes(resolved.protocolVersion)) {
    throw new RangeError(
      `Unsupported protocol version: ${resolved.protocolVersion} (supported versions: ${VERSIONS.join(", ")})`,
    );
  }
  checkPolicies(resolved.tungstate);
  return resolved;
}

/** A parsed URL. */
export interface Address {
  readonly url: URL;
  readonly isSecure: boolean;
  readonly isIpc: boolean;
}

/** Parses an address. Throws a SyntaxError if it is not a URL. */
export function parseAddress(address: string | URL): Address {
  let url: URL;
  if (address instanceof URL) url = address;
  else if (URL.canParse(address)) url = new URL(address);
  else throw new SyntaxError(`Invalid URL: ${address}`);
  if (url.protocol === "http:" || url.protocol === "https:") {
    url = new URL(url);
    url.protocol = url.protocol === "http:" ? "ws:" : "wss:";
  }
  return { url, isSecure: url.protocol === "wss:", isIpc: url.protocol === "ws+unix:" };
}

/** Returns the error of an invalid address; undefined for a valid one. */
export function faultOf({ url, isSecure, isIpc }: Address): SyntaxError | undefined {
  if (url.protocol !== "ws:" && !isSecure && !isIpc) {
    return new SyntaxError('The URL\'s protocol must be one of "ws:", "wss:", "http:", "https:", or "ws+unix:"');
  }
  if (isIpc && url.pathname === "") return new SyntaxError("The URL's pathname is empty");
  return url.hash === "" ? undefined : new SyntaxError("The URL contains a fragment identifier");
}

type ConnectOptions = Record<string, unknown>;

/** Opens the socket of a `ws:` or `ws+unix:` URL. */
export function connectSocket(options: ConnectOptions): Socket {
  options["path"] = options["socketPath"]; // net.connect has another name for it
  return net.connect(options as unknown as net.NetConnectOpts);
}

/** Opens the socket of a `wss:` URL. */
export function connectTls(options: ConnectOptions): Socket {
  options["path"] = undefined; // of the request, which tls.connect would take for a Unix socket
  if (options["servername"] === undefined || options["servername"] === null) {
    const host = String(options["host"]);
    options["servername"] = net.isIP(host) === 0 ? host : "";
  }
  return tls.connect(options as tls.ConnectionOptions);
}
