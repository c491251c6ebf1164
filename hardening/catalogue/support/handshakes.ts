import { createHash } from "node:crypto";

/** The key of RFC 6455 §1.3. */
const KEY = "dGhlIHNhbXBsZSBub25jZQ==";

/** Header fields; undefined ones are omitted. */
export type Fields = Readonly<Record<string, string | undefined>>;

const REQUEST: Fields = {
  Host: "localhost",
  Upgrade: "websocket",
  Connection: "Upgrade",
  "Sec-WebSocket-Key": KEY,
  "Sec-WebSocket-Version": "13",
};

/**
 * Returns a valid request of a client, with fields replaced, added or (undefined) removed by
 * `changes`.
 */
export function request(changes: Fields = {}, line = "GET / HTTP/1.1"): string {
  return head(line, { ...REQUEST, ...changes });
}

/** Returns a server's response to a request with this key, changed likewise. */
export function response(key: string, changes: Fields = {}, line = "HTTP/1.1 101 Switching Protocols"): string {
  return head(line, {
    Upgrade: "websocket",
    Connection: "Upgrade",
    "Sec-WebSocket-Accept": createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64"),
    ...changes,
  });
}

function head(line: string, fields: Fields): string {
  const lines = Object.entries(fields).filter(([, value]) => value !== undefined);
  return `${line}\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`;
}
