import { FieldReader, isTokenChar } from "./tokens.ts";

/**
 * The received parameters of one extension: all values by name. `true`: a parameter without value.
 */
export type ExtensionParams = Record<string, (string | true)[]>;
/** The extensions of a field. An extension that is named several times has several entries. */
export type Extensions = Record<string, ExtensionParams[]>;

/**
 * Returns the content of a `Sec-WebSocket-Extensions` field. Throws a SyntaxError for a malformed
 * one.
 */
export function parse(header: string): Extensions {
  const extensions: Extensions = Object.create(null);
  const reader = new FieldReader(header);
  for (;;) {
    const name = readName(reader);
    const params: ExtensionParams = Object.create(null);
    let spaced = endOfItem(reader);
    while (reader.skip(";")) {
      const param = readName(reader);
      const value = reader.skip("=") ? readValue(reader) : true;
      (params[param] ??= []).push(value);
      spaced = endOfItem(reader);
    }
    (extensions[name] ??= []).push(params);
    if (reader.isAtEnd) {
      if (spaced) reader.fail();
      return extensions;
    }
    if (!reader.skip(",")) reader.fail();
  }
}

function readName(reader: FieldReader): string {
  if (reader.at > 0) reader.space();
  return reader.token();
}

/** Skips whitespace after an item. Returns whether there was any. */
function endOfItem(reader: FieldReader): boolean {
  const spaced = reader.space();
  if (!reader.isAtEnd && reader.next !== 0x3b && reader.next !== 0x2c) reader.fail();
  return spaced;
}

/** RFC 6455 §9.1: "the value after quoted-string unescaping MUST conform to the 'token' ABNF". */
function readValue(reader: FieldReader): string {
  if (reader.next !== 0x22) return reader.token();
  reader.at++;
  let value = "";
  while (reader.next !== 0x22 || value === "") {
    if (reader.skip("\\") && reader.isAtEnd) reader.fail();
    if (!isTokenChar(reader.next)) reader.fail();
    value += String.fromCharCode(reader.next);
    reader.at++;
  }
  reader.at++;
  return value;
}

type Value = string | number | boolean;

/** Returns a `Sec-WebSocket-Extensions` field with these extensions. */
export function format(
  extensions: Record<string, Record<string, Value | Value[]> | Record<string, Value | Value[]>[]>,
): string {
  const offers = Object.entries(extensions).flatMap(([name, given]) =>
    [given].flat().map((params) => [name, ...Object.entries(params).flatMap(formatParam)].join("; ")),
  );
  return offers.join(", ");
}

function formatParam([name, values]: [string, Value | Value[]]): string[] {
  return [values].flat().map((value) => (value === true ? name : `${name}=${value}`));
}
