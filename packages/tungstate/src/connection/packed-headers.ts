import type { HeaderFields } from "@tungstate/protocol";
import { fieldsOfLines, linesOf } from "@tungstate/protocol/internal";

// A connection keeps the header fields of its handshake, and few applications read them. As text of
// the head they take about as many bytes as on the wire, and as HeaderFields twice as many.

export function packHeaders(headers: HeaderFields): string {
  return linesOf(headers);
}

export function unpackHeaders(packed: string): HeaderFields {
  return fieldsOfLines(packed);
}
