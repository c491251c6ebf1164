import type { HeaderFields } from "@tungstate/protocol";
import { fieldsOfLines, linesOf } from "@tungstate/protocol/internal";

// A connection keeps the header fields of its handshake for as long as it lives, and few applications look at them. As the text of the
// head they take about as many bytes as they had on the wire; as a HeaderFields twice that.

export function packHeaders(headers: HeaderFields): string {
  return linesOf(headers);
}

export function unpackHeaders(packed: string): HeaderFields {
  return fieldsOfLines(packed);
}
