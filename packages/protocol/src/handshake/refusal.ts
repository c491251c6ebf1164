import type { WebSocketError } from "../errors.ts";
import { encodeLatin1 } from "../bytes/latin1.ts";
import { utf8Length, writeUtf8 } from "../bytes/utf8.ts";
import { checkHeaders, formatHead } from "./outgoing-headers.ts";
import type { HeaderInput } from "./outgoing-headers.ts";
import { invalidOption } from "../arguments.ts";

/** How to refuse an upgrade. */
export interface Refusal {
  /** 300 to 599, but not 304, which has no body of its own. */
  readonly status: number;
  /** Additional header fields of the response. */
  readonly headers?: HeaderInput | undefined;
  /** Text is sent as UTF-8. Default empty. */
  readonly body?: string | Uint8Array | undefined;
}

/** A whole HTTP response, with all the header fields that it needs. */
export interface HttpResponse {
  /** The status code, 100 to 599. */
  readonly status: number;
  /** The reason phrase. */
  readonly reason: string;
  /** The header fields. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** The body. */
  readonly body: Uint8Array;
}

/**
 * RFC 9110 §15, RFC 6585; a status that is not here is sent without a reason phrase, as HTTP
 * allows.
 */
const REASONS: ReadonlyMap<number, string> = new Map([
  [301, "Moved Permanently"],
  [302, "Found"],
  [303, "See Other"],
  [307, "Temporary Redirect"],
  [308, "Permanent Redirect"],
  [400, "Bad Request"],
  [401, "Unauthorized"],
  [402, "Payment Required"],
  [403, "Forbidden"],
  [404, "Not Found"],
  [405, "Method Not Allowed"],
  [407, "Proxy Authentication Required"],
  [408, "Request Timeout"],
  [409, "Conflict"],
  [410, "Gone"],
  [413, "Content Too Large"],
  [414, "URI Too Long"],
  [421, "Misdirected Request"],
  [422, "Unprocessable Content"],
  [426, "Upgrade Required"],
  [429, "Too Many Requests"],
  [431, "Request Header Fields Too Large"],
  [451, "Unavailable For Legal Reasons"],
  [500, "Internal Server Error"],
  [501, "Not Implemented"],
  [502, "Bad Gateway"],
  [503, "Service Unavailable"],
  [504, "Gateway Timeout"],
  [505, "HTTP Version Not Supported"],
  [511, "Network Authentication Required"],
]);

function utf8(text: string): Uint8Array {
  const bytes = new Uint8Array(utf8Length(text));
  writeUtf8(text, bytes, 0);
  return bytes;
}

/**
 * The response for a refusal: closes the connection, says how long the body is, and with 426 what
 * to upgrade to. Throws INVALID_ARGUMENT for a status out of range, for header fields that can't be
 * sent, and for a body that is neither text nor bytes.
 */
export function buildRefusal({ status, headers, body = "" }: Refusal): HttpResponse {
  if (!Number.isInteger(status) || status < 300 || status > 599 || status === 304) {
    throw invalidOption("status", "an integer from 300 to 599 other than 304", status);
  }
  if (typeof body !== "string" && !(body instanceof Uint8Array)) {
    throw invalidOption("body", "a string or a Uint8Array", body);
  }
  const bytes = typeof body === "string" ? utf8(body) : body;
  const fields: (readonly [string, string])[] = [["Content-Length", String(bytes.length)]];
  if (status === 426) {
    // RFC 9110 §15.5.22: "The server MUST send an Upgrade header field in a 426 response"; §7.8 has
    // Connection name it
    fields.push(["Connection", "close, Upgrade"], ["Upgrade", "websocket"], ["Sec-WebSocket-Version", "13"]);
  } else {
    fields.push(["Connection", "close"]);
  }
  const own = checkHeaders(headers);
  if (typeof body === "string" && body !== "" && !own.some(([name]) => name.toLowerCase() === "content-type")) {
    fields.push(["Content-Type", "text/plain; charset=utf-8"]);
  }
  return { status, reason: REASONS.get(status) ?? "", headers: [...fields, ...own], body: bytes };
}

/**
 * Returns the response to a request that failed with this error: its status, and its message as
 * text. An error without a status is not caused by the client. The response is then 500 without the
 * message.
 */
export function refusalFor(error: WebSocketError): HttpResponse {
  const status = error.status ?? 500;
  const text = error.status === undefined ? "Internal Server Error" : error.message;
  // RFC 9110 §15.5.6: "The origin server MUST generate an Allow header field in a 405 response"
  const allow = error.code === "METHOD_NOT_CONNECT" ? "CONNECT" : "GET";
  return buildRefusal({ status, headers: status === 405 ? { Allow: allow } : {}, body: `${text}\n` });
}

/**
 * The bytes of a response. RFC 9110 §9.3.2: to a HEAD request "the server MUST NOT send content".
 */
export function formatResponse(response: HttpResponse, method = "GET"): Uint8Array {
  const { status, reason, headers, body } = response;
  const head = encodeLatin1(formatHead(`HTTP/1.1 ${status} ${reason}`, headers));
  if (method === "HEAD") return head;
  const bytes = new Uint8Array(head.length + body.length);
  bytes.set(head);
  bytes.set(body, head.length);
  return bytes;
}
