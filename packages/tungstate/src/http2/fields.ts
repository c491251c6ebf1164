import type { Http2Fields } from "@tungstate/protocol";
import type { OutgoingHttpHeaders } from "node:http2";

/** Returns the pairs of Node's flat list of the names and values of header fields. */
export function pairsOf(raw: readonly string[]): [name: string, value: string][] {
  const fields: [string, string][] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) fields.push([raw[at], raw[at + 1]]);
  return fields;
}

/** Returns header fields as node:http2 sends them. */
export function headersOf(fields: Http2Fields): OutgoingHttpHeaders {
  const headers = Object.create(null) as Record<string, string | string[]>;
  for (const [name, value] of fields) {
    const before = headers[name];
    headers[name] = before === undefined ? value : [before, value].flat();
  }
  return headers;
}
