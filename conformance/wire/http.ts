import { createHash } from "node:crypto";

/** RFC 6455 §1.3. */
const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

export interface HttpHead {
  readonly startLine: string;
  /** Lowercase names; several fields with the same name are joined with commas. */
  readonly fields: ReadonlyMap<string, string>;
}

/** Splits `bytes` into the head and the rest. Returns undefined while the head is incomplete. */
export function parseHead(bytes: Buffer): { readonly head: HttpHead; readonly rest: Buffer } | undefined {
  const end = bytes.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const [startLine = "", ...lines] = bytes.toString("latin1", 0, end).split("\r\n");
  const fields = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(":");
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    const before = fields.get(name);
    fields.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  return { head: { startLine, fields }, rest: bytes.subarray(end + 4) };
}

export function acceptValue(key: string): string {
  return createHash("sha1")
    .update(key + GUID)
    .digest("base64");
}

function hasToken(value: string | undefined, token: string): boolean {
  return (value ?? "").split(",").some((item) => item.trim().toLowerCase() === token);
}

export function request(url: URL, key: string, extensions: string): string {
  return [
    `GET ${url.pathname}${url.search} HTTP/1.1`,
    `Host: ${url.host}`,
    "Upgrade: websocket",
    "Connection: Upgrade",
    `Sec-WebSocket-Key: ${key}`,
    "Sec-WebSocket-Version: 13",
    ...(extensions === "" ? [] : [`Sec-WebSocket-Extensions: ${extensions}`]),
    "\r\n",
  ].join("\r\n");
}

export function response(key: string, extensions: string): string {
  return [
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    `Sec-WebSocket-Accept: ${acceptValue(key)}`,
    ...(extensions === "" ? [] : [`Sec-WebSocket-Extensions: ${extensions}`]),
    "\r\n",
  ].join("\r\n");
}

/** Returns what is wrong with a response to `request`, or undefined (RFC 6455 §4.1). */
export function responseFault({ startLine, fields }: HttpHead, key: string): string | undefined {
  if (!/^HTTP\/1\.1 101( |$)/.test(startLine)) return `the response is ${JSON.stringify(startLine)} instead of a 101`;
  if (fields.get("upgrade")?.toLowerCase() !== "websocket") return "the response has no Upgrade: websocket";
  if (!hasToken(fields.get("connection"), "upgrade")) return "the response has no Connection: Upgrade";
  if (fields.get("sec-websocket-accept") !== acceptValue(key)) return "the response has a wrong Sec-WebSocket-Accept";
  if (fields.has("sec-websocket-protocol")) return "the response has a subprotocol that nobody asked for";
  return undefined;
}

/** Returns what is wrong with a request, or undefined (RFC 6455 §4.1). */
export function requestFault({ startLine, fields }: HttpHead): string | undefined {
  if (!/^GET \/\S* HTTP\/1\.1$/.test(startLine)) return `the request is ${JSON.stringify(startLine)}`;
  if (!fields.has("host")) return "the request has no Host";
  if (!hasToken(fields.get("upgrade"), "websocket")) return "the request has no Upgrade: websocket";
  if (!hasToken(fields.get("connection"), "upgrade")) return "the request has no Connection: Upgrade";
  if (fields.get("sec-websocket-version") !== "13") return "the request is not of version 13";
  if (Buffer.from(fields.get("sec-websocket-key") ?? "", "base64").length !== 16) return "the request has a wrong key";
  return undefined;
}
