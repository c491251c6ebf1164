import { FieldReader } from "./tokens.ts";

/**
 * Returns the names in a `Sec-WebSocket-Protocol` field, in order. Throws a SyntaxError for a
 * malformed list or a duplicate name.
 */
export function parse(header: string): Set<string> {
  const protocols = new Set<string>();
  const reader = new FieldReader(header);
  for (;;) {
    if (reader.at > 0) reader.space();
    const protocol = reader.token();
    const spaced = reader.space();
    const isLast = reader.isAtEnd;
    if (isLast && spaced) reader.fail();
    if (!isLast && !reader.skip(",")) reader.fail();
    if (protocols.has(protocol)) throw new SyntaxError(`The "${protocol}" subprotocol is duplicated`);
    protocols.add(protocol);
    if (isLast) return protocols;
  }
}
