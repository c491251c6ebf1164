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

/** RFC 9110 §5.5: what a field value may hold: visible ASCII, space, tab, and opaque bytes above 0x7f; no other control character. */
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

/** Text without the optional whitespace around it. (`trim` takes more for whitespace: U+00A0, for example, which is data here.) */
export function trimSpace(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isSpace(text.charCodeAt(start))) start++;
  while (end > start && isSpace(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

/**
 * The elements of a list, without the whitespace around them. RFC 9110 §5.6.1.2: "A recipient MUST parse and ignore a reasonable
 * number of empty list elements". Not for lists with quoted strings.
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
 * The tokens of a list such as `Connection: keep-alive, Upgrade`; undefined if an element is no token. A value without elements, such
 * as "" or ",", is an empty list: RFC 9110 §5.6.1 makes no difference between that and a field that is absent.
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

const FEW = 32; // fields; up to here looking through them is faster than making a map of them
const NONE: readonly string[] = Object.freeze([]); // all share it

/** Header fields in the order they came; names are looked up in any case. */
export class HeaderFields implements Iterable<readonly [name: string, value: string]> {
  readonly #fields: readonly (readonly [name: string, value: string])[];
  /** In lower case. */
  readonly #names: readonly string[];
  /** Values by name, built on demand if there are many fields. A Map, because a field may be named __proto__. */
  #index: Map<string, string[]> | undefined;

  constructor(fields: Iterable<readonly [name: string, value: string]> = []) {
    this.#fields = [...fields];
    this.#names = this.#fields.map(([name]) => name.toLowerCase());
  }

  /** Number of fields. */
  get size(): number {
    return this.#fields.length;
  }

  /** The value; of a field that came more than once, all values joined by ", " (RFC 9110 §5.3). */
  get(name: string): string | undefined {
    if (this.#fields.length <= FEW) {
      const key = name.toLowerCase();
      const first = this.#names.indexOf(key);
      if (first < 0) return undefined;
      if (this.#names.indexOf(key, first + 1) < 0) return this.#fields[first][1];
    }
    const values = this.getAll(name);
    return values.length > 1 ? values.join(", ") : values[0];
  }

  /** Returns the values of all fields with this name, in order. */
  getAll(name: string): readonly string[] {
    const key = name.toLowerCase();
    if (this.#fields.length > FEW) return (this.#index ??= this.#makeIndex()).get(key) ?? NONE;
    const first = this.#names.indexOf(key);
    if (first < 0) return NONE;
    const values: string[] = [];
    for (let at = first; at < this.#names.length; at++) if (this.#names[at] === key) values.push(this.#fields[at][1]);
    return values;
  }

  /** Whether there is a field with this name. */
  has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  #makeIndex(): Map<string, string[]> {
    const index = new Map<string, string[]>();
    for (const [at, key] of this.#names.entries()) {
      const values = index.get(key);
      if (values === undefined) index.set(key, [this.#fields[at][1]]);
      else values.push(this.#fields[at][1]);
    }
    return index;
  }

  /** Iterates over names and values, in the order of the head. */
  [Symbol.iterator](): Iterator<readonly [name: string, value: string]> {
    return this.#fields[Symbol.iterator]();
  }
}
