import { ResponseHeadParser } from "@tungstate/protocol";
import type { Duplex } from "node:stream";
import { type ConnectError, connectError, showAddress, type Tried } from "../../errors.ts";
import type { Proxy } from "./proxy.ts";
import type { HeaderList } from "./headers.ts";
import { take } from "./take.ts";

/** Maximum length of a proxy's text in an error, in characters. */
const MAX_SHOWN_REASON = 80;

/**
 * Opens a tunnel through an HTTP proxy (CONNECT, RFC 9110 §9.3.6), for `ws:` as well as `wss:` (RFC
 * 6455 §4.1). Bytes after the proxy's response stay in the stream. `headers` are checked already
 * (`checkProxyHeaders`); a Host or Proxy-Authorization among them replaces the one made from the
 * target or from the proxy's URL.
 */
export async function openTunnel(
  stream: Duplex,
  proxy: Proxy,
  host: string,
  port: number,
  headers: HeaderList,
  tried: Tried,
  signal: AbortSignal,
): Promise<void> {
  const authority = showAddress(host, port);
  const fields = [...ownFields(authority, proxy, headers), ...headers];
  const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  // RFC 9112 §3.2.3: authority-form
  stream.write(Buffer.from(`CONNECT ${authority} HTTP/1.1\r\n${lines}\r\n`, "latin1"));
  const parser = new ResponseHeadParser();
  const head = await take(
    stream,
    (chunk) => {
      const progress = parser.receive(chunk);
      if (progress.state === "more") return undefined;
      if (progress.state === "error") {
        throw connectError("PROXY_FAILED", `its answer: ${progress.error.message}`, { cause: progress.error, tried });
      }
      const { rest } = progress;
      return { result: progress.head, rest: Buffer.from(rest.buffer, rest.byteOffset, rest.byteLength) };
    },
    signal,
    { step: "proxy", tried },
  );
  // RFC 9110 §9.3.6: "Any 2xx (Successful) response indicates that the sender (and all inbound
  // proxies) will switch to tunnel mode immediately after the response header section", and "A
  // client MUST ignore any Content-Length or Transfer-Encoding".
  if (head.status >= 200 && head.status <= 299) return;
  const authorized = fields.some(([name]) => name.toLowerCase() === "proxy-authorization");
  throw statusError(head.status, head.reason, head.headers.get("proxy-authenticate"), authorized, tried);
}

/** Returns the fields that the request needs and the caller has not set. */
function ownFields(
  authority: string,
  { credentials }: Proxy,
  headers: HeaderList,
): (readonly [name: string, value: string])[] {
  const given = new Set(headers.map(([name]) => name.toLowerCase()));
  const fields: (readonly [string, string])[] = [];
  // RFC 9112 §3.2: "A client MUST send a Host header field in all HTTP/1.1 request messages."
  if (!given.has("host")) fields.push(["Host", authority]);
  if (credentials !== undefined && !given.has("proxy-authorization")) {
    const pair = Buffer.from(`${credentials.username}:${credentials.password}`);
    fields.push(["Proxy-Authorization", `Basic ${pair.toString("base64")}`]);
  }
  return fields;
}

function statusError(
  status: number,
  reason: string,
  challenge: string | undefined,
  authorized: boolean,
  tried: Tried,
): ConnectError {
  // JSON.stringify: text of a proxy must have no effect on a terminal
  const shown = `status ${status} ${JSON.stringify(reason.slice(0, MAX_SHOWN_REASON))}`;
  // tinyproxy answers wrong credentials with 401
  if (status === 407 || status === 401) {
    const wants =
      challenge === undefined ? "" : `, it asks for ${JSON.stringify(challenge.slice(0, MAX_SHOWN_REASON))}`;
    const given = authorized ? "those given were refused" : "none were given";
    return connectError("PROXY_AUTH", `${given} (${shown}${wants})`, { tried });
  }
  // 5xx, 429 and 408 may be temporary; any other 4xx is a decision about this request
  const denied = status >= 400 && status <= 499 && status !== 408 && status !== 429;
  return connectError(denied ? "PROXY_DENIED" : "PROXY_FAILED", shown, { tried });
}
