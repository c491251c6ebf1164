import { HeaderFields } from "@tungstate/protocol";

// A connection keeps the header fields of its handshake for as long as it lives, and few applications look at them. As one string they take
// about as many bytes as they had on the wire; as a HeaderFields several times that.

const SEPARATOR = "\n"; // no header field has it in its name or value

export function packHeaders(headers: HeaderFields): string {
  const parts: string[] = [];
  for (const [name, value] of headers) parts.push(name, value);
  return parts.join(SEPARATOR);
}

export function unpackHeaders(packed: string): HeaderFields {
  const parts = packed === "" ? [] : packed.split(SEPARATOR);
  const fields: [name: string, value: string][] = [];
  for (let at = 0; at + 1 < parts.length; at += 2) fields.push([parts[at], parts[at + 1]]);
  return new HeaderFields(fields);
}
