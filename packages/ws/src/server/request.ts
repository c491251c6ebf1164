import type { IncomingMessage } from "node:http";
import { spareContexts } from "../deflate/engines.ts";
import { PerMessageDeflate, type PerMessageDeflateOptions } from "../deflate/permessage-deflate.ts";
import { parse as parseExtensions } from "../handshake/extension.ts";
import { parse as parseProtocols } from "../handshake/subprotocol.ts";

const KEY = /^[+/0-9A-Za-z]{22}==$/; // 16 bytes in base64

/** The error of an invalid request. */
export interface Fault {
  readonly status: number;
  readonly message: string;
  readonly headers?: Record<string, string>;
}

/** Returns the key of a handshake, or an error for an invalid request (RFC 6455 §4.2.1). */
export function checkRequest({ method, headers }: IncomingMessage): string | Fault {
  if (method !== "GET") return { status: 405, message: "Invalid HTTP method" };
  if (headers.upgrade?.toLowerCase() !== "websocket") return { status: 400, message: "Invalid Upgrade header" };
  const key = headers["sec-websocket-key"];
  if (key === undefined || !KEY.test(key)) {
    return { status: 400, message: "Missing or invalid Sec-WebSocket-Key header" };
  }
  const version = versionOf(headers);
  if (version !== 13 && version !== 8) {
    return {
      status: 400,
      message: "Missing or invalid Sec-WebSocket-Version header",
      headers: { "Sec-WebSocket-Version": "13, 8" },
    };
  }
  return key;
}

function versionOf(headers: IncomingMessage["headers"]): number {
  return Number(headers["sec-websocket-version"]);
}

/** Returns the origin of a request. Version 8 has another field for it. */
export function originOf({ headers }: IncomingMessage): string | undefined {
  const name = versionOf(headers) === 8 ? "sec-websocket-origin" : "origin";
  return headers[name] as string | undefined;
}

/** Returns the subprotocols that a request offers, or an error. */
export function offeredProtocols({ headers }: IncomingMessage): Set<string> | Fault {
  const field = headers["sec-websocket-protocol"];
  if (field === undefined) return new Set();
  try {
    return parseProtocols(field);
  } catch {
    return { status: 400, message: "Invalid Sec-WebSocket-Protocol header" };
  }
}

export type AcceptedExtensions = Record<string, PerMessageDeflate>;

/** Returns the negotiated extensions, or an error for an invalid offer. */
export function acceptExtensions(
  { headers }: IncomingMessage,
  options: boolean | PerMessageDeflateOptions,
  maxPayload: number,
): AcceptedExtensions | Fault {
  const field = headers["sec-websocket-extensions"];
  if (!options || field === undefined) return {};
  const { extensionName } = PerMessageDeflate;
  const given = options === true ? {} : options;
  const deflate = new PerMessageDeflate({ ...given, isServer: true, maxPayload });
  try {
    const offers = parseExtensions(field)[extensionName];
    if (offers === undefined) return {};
    deflate.accept(offers);
  } catch {
    return { status: 400, message: "Invalid or unacceptable Sec-WebSocket-Extensions header" };
  }
  spareContexts(deflate);
  return { [extensionName]: deflate };
}
