import { ResponseHeadParser } from "@tungstate/protocol";
import type { Duplex } from "node:stream";
import { type ConnectError, connectError, showAddress, type Tried } from "../errors.ts";
import type { Proxy } from "./proxy.ts";
import { take } from "./take.ts";

/** Of what a proxy says, an error shows no more than this many characters. */
const MAX_SHOWN_REASON = 80;

/**
 * Asks an HTTP proxy for a tunnel (CONNECT, RFC 9110 §9.3.6), for `ws:` as for `wss:` (RFC 6455 §4.1). The bytes behind
 * the proxy's answer stay in the stream.
 */
export async function openTunnel(
  stream: Duplex,
  proxy: Proxy,
  host: string,
  port: number,
  tried: Tried,
  signal: AbortSignal,
): Promise<void> {
  const authority = showAddress(host, port);
  // RFC 9112 §3.2.3: authority-form; §3.2: a client MUST send Host in every HTTP/1.1 request.
  let request = `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n`;
  if (proxy.credentials !== undefined) {
    const { username, password } = proxy.credentials;
    request += `Proxy-Authorization: Basic ${Buffer.from(`${username}:${password}`).toString("base64")}\r\n`;
  }
  stream.write(`${request}\r\n`);
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
  // RFC 9110 §9.3.6: "Any 2xx (Successful) response indicates that the sender (and all inbound proxies) will switch to tunnel
  // mode immediately after the response header section", and "A client MUST ignore any Content-Length or Transfer-Encoding".
  if (head.status >= 200 && head.status <= 299) return;
  throw statusError(head.status, head.reason, head.headers.get("proxy-authenticate"), proxy, tried);
}

function statusError(
  status: number,
  reason: string,
  challenge: string | undefined,
  proxy: Proxy,
  tried: Tried,
): ConnectError {
  // JSON.stringify: whatever a proxy says is shown without effect on a terminal.
  const shown = `status ${status} ${JSON.stringify(reason.slice(0, MAX_SHOWN_REASON))}`;
  // tinyproxy says 401 to credentials that are wrong.
  if (status === 407 || status === 401) {
    const wants =
      challenge === undefined ? "" : `, it asks for ${JSON.stringify(challenge.slice(0, MAX_SHOWN_REASON))}`;
    const given = proxy.credentials === undefined ? "none were given" : "those given were refused";
    return connectError("PROXY_AUTH", `${given} (${shown}${wants})`, { tried });
  }
  // 5xx, 429 and 408 may pass with time; any other 4xx is the proxy's opinion of this request.
  const denied = status >= 400 && status <= 499 && status !== 408 && status !== 429;
  return connectError(denied ? "PROXY_DENIED" : "PROXY_FAILED", shown, { tried });
}
