const TAB = 0x09;
const SPACE = 0x20;
const COMMA = 0x2c;
const DELETE = 0x7f;

const TOKEN_TEXT = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/** 1 at each code that may stand in a token (RFC 9110 §5.6.2: tchar). */
export const TOKEN_CODES: Uint8Array = codes(TOKEN_TEXT);

/** A table with 1 at each code in `text`, 0 at all others below 256. */
export function codes(text: string): Uint8Array {
  const table = new Uint8Array(256);
  for (let at = 0; at < text.length; at++) table[text.charCodeAt(at)] = 1;
  return table;
}

/** Whether all of `text[start..end)` is in the table. */
export function consistsOf(table: Uint8Array, text: string, start = 0, end = text.length): boolean {
  for (let at = start; at < end; at++) {
    if (table[text.charCodeAt(at)] !== 1) return false;
  }
  return true;
}

/** RFC 9110 §5.6.2: `token = 1*tchar`. */
export function isToken(text: string): boolean {
  return text.length > 0 && consistsOf(TOKEN_CODES, text);
}

/**
 * RFC 9110 §5.5: a field value contains visible ASCII, space, tab and opaque bytes above 0x7f, and
 * no other control character.
 */
export function isFieldValueCode(code: number): boolean {
  return code >= SPACE ? code !== DELETE && code <= 0xff : code === TAB;
}

export function isFieldValue(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    if (!isFieldValueCode(text.charCodeAt(at))) return false;
  }
  return true;
}

/** RFC 9110 §5.6.3: optional whitespace. */
export function isSpace(code: number): boolean {
  return code === SPACE || code === TAB;
}

/**
 * Returns text without optional whitespace at both ends. `trim` removes more, such as U+00A0, which
 * is data here.
 */
export function trimSpace(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isSpace(text.charCodeAt(start))) start++;
  while (end > start && isSpace(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

/**
 * The elements of a list, without the whitespace around them. RFC 9110 §5.6.1.2: "A recipient MUST
 * parse and ignore a reasonable number of empty list elements". Not for lists with quoted strings.
 */
function elements(value: string): string[] {
  const found: string[] = [];
  let at = 0;
  while (at < value.length) {
    while (isSpace(value.charCodeAt(at))) at++;
    const start = at;
    let end = at; // behind the last character that is not whitespace
    for (; at < value.length && value.charCodeAt(at) !== COMMA; at++) {
      if (!isSpace(value.charCodeAt(at))) end = at + 1;
    }
    if (end > start) found.push(value.slice(start, end));
    at++;
  }
  return found;
}

/**
 * The tokens of a list such as `Connection: keep-alive, Upgrade`; undefined if an element is no
 * token. A value without elements, such as "" or ",", is an empty list: RFC 9110 §5.6.1 makes no
 * difference between that and a field that is absent.
 */
export function parseTokenList(value: string): readonly string[] | undefined {
  const list = elements(value);
  return list.every(isToken) ? list : undefined;
}

/** Whether a list has this element in any case. `token` is in lower case. */
export function hasToken(value: string | undefined, token: string): boolean {
  // isToken: outside of ASCII there are letters whose lower case is in ASCII
  if (value === undefined) return false;
  const matches = (one: string): boolean => isToken(one) && one.toLowerCase() === token;
  return value.length === token.length ? matches(value) : elements(value).some(matches);
}

const BOUNDS = 4; // numbers for each field
const FEW = 32 * BOUNDS; // up to 32 fields; a search is faster than making a map
const NONE: readonly string[] = Object.freeze([]); // all share it
const NO_BOUNDS: readonly number[] = Object.freeze([]);
const NONE_GIVEN: Iterable<readonly [name: string, value: string]> = Object.freeze([]);

/**
 * Returns the header fields in a text. `bounds` has four offsets for each of the `count` fields:
 * start and end of its name, start and end of its value.
 */
export let headerFieldsOf: (text: string, bounds: readonly number[], count: number) => HeaderFields;
/** Returns the fields as lines of a head: `name: value`, separated by CR LF. */
export let linesOf: (fields: HeaderFields) => string;

/** Header fields in the order they came; names are looked up in any case. */
export class HeaderFields implements Iterable<readonly [name: string, value: string]> {
  /** The lines. Names and values are cut out of it on demand. */
  #text = "";
  /** Of each field: where its name starts and ends, and where its value starts and ends. */
  #bounds: readonly number[] = NO_BOUNDS;
  #end = 0; // of the bounds
  /**
   * Values by name, built on demand for many fields. A Map, because a field may be named __proto__.
   */
  #index: Map<string, string[]> | undefined;

  static {
    headerFieldsOf = (text, bounds, count) => {
      const fields = new HeaderFields();
      fields.#text = text;
      fields.#bounds = bounds;
      fields.#end = count * BOUNDS;
      return fields;
    };
    linesOf = (fields) => fields.#text;
  }

  constructor(fields: Iterable<readonly [name: string, value: string]> = NONE_GIVEN) {
    if (fields === NONE_GIVEN) return;
    const bounds: number[] = [];
    let text = "";
    for (const [name, value] of fields) {
      if (text !== "") text += "\r\n";
      const at = text.length;
      const valueAt = at + name.length + 2;
      bounds.push(at, at + name.length, valueAt, valueAt + value.length);
      text += `${name}: ${value}`;
    }
    this.#text = text;
    this.#bounds = bounds;
    this.#end = bounds.length;
  }

  /** Number of fields. */
  get size(): number {
    return this.#end / BOUNDS;
  }

  /** The value; of a field that came more than once, all values joined by ", " (RFC 9110 §5.3). */
  get(name: string): string | undefined {
    if (this.#end <= FEW) {
      const first = this.#find(name, 0);
      if (first < 0) return undefined;
      if (this.#find(name, first + BOUNDS) < 0) return this.#valueAt(first);
    }
    const values = this.getAll(name);
    return values.length > 1 ? values.join(", ") : values[0];
  }

  /** Returns the values of all fields with this name, in order. */
  getAll(name: string): readonly string[] {
    if (this.#end > FEW) return (this.#index ??= this.#makeIndex()).get(name.toLowerCase()) ?? NONE;
    let at = this.#find(name, 0);
    if (at < 0) return NONE;
    const values = [this.#valueAt(at)];
    while ((at = this.#find(name, at + BOUNDS)) >= 0) values.push(this.#valueAt(at));
    return values;
  }

  /** Whether there is a field with this name. */
  has(name: string): boolean {
    return this.#end <= FEW ? this.#find(name, 0) >= 0 : this.get(name) !== undefined;
  }

  /** Returns where the bounds of the next field with this name are; -1 if there is none. */
  #find(name: string, from: number): number {
    const bounds = this.#bounds;
    for (let at = from; at < this.#end; at += BOUNDS) {
      const start = bounds[at];
      if (bounds[at + 1] - start === name.length && isSame(this.#text, start, name)) return at;
    }
    return -1;
  }

  #nameAt(at: number): string {
    return this.#text.slice(this.#bounds[at], this.#bounds[at + 1]);
  }

  #valueAt(at: number): string {
    return this.#text.slice(this.#bounds[at + 2], this.#bounds[at + 3]);
  }

  #makeIndex(): Map<string, string[]> {
    const index = new Map<string, string[]>();
    for (let at = 0; at < this.#end; at += BOUNDS) {
      const key = this.#nameAt(at).toLowerCase();
      const values = index.get(key);
      if (values === undefined) index.set(key, [this.#valueAt(at)]);
      else values.push(this.#valueAt(at));
    }
    return index;
  }

  /** Iterates over names and values, in the order of the head. */
  *[Symbol.iterator](): Generator<readonly [name: string, value: string], void, undefined> {
    for (let at = 0; at < this.#end; at += BOUNDS) yield [this.#nameAt(at), this.#valueAt(at)];
  }
}

/** Reads what `linesOf` returned. */
export function fieldsOfLines(text: string): HeaderFields {
  const bounds: number[] = [];
  for (let at = 0; at < text.length;) {
    const found = text.indexOf("\r\n", at);
    const end = found < 0 ? text.length : found;
    const colon = text.indexOf(":", at);
    let from = colon + 1;
    let to = end;
    while (from < to && isSpace(text.charCodeAt(from))) from++;
    while (to > from && isSpace(text.charCodeAt(to - 1))) to--;
    bounds.push(at, colon, from, to);
    at = end + 2;
  }
  return headerFieldsOf(text, bounds, bounds.length / BOUNDS);
}

/** Whether a name stands at a position of a text, in any case. */
function isSame(text: string, start: number, name: string): boolean {
  for (let at = 0; at < name.length; at++) {
    const code = text.charCodeAt(start + at);
    const wanted = name.charCodeAt(at);
    if (code !== wanted && lowerCase(code) !== lowerCase(wanted)) return false;
  }
  return true;
}

/** RFC 9110 §5.1: field names are case-insensitive; they are ASCII. */
function lowerCase(code: number): number {
  return code >= 0x41 && code <= 0x5a ? code + 0x20 : code;
}
