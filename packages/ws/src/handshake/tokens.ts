const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/**
 * Whether a character code is allowed in a token (RFC 9110 §5.6.2). NaN (end of the text) is not.
 */
export function isTokenChar(code: number): boolean {
  return code < TOKEN_CHARS.length && TOKEN_CHARS[code] === 1;
}

/** Whether a text is a token. */
export function isToken(text: string): boolean {
  return TOKEN.test(text);
}

const TOKEN_CHARS = Uint8Array.from({ length: 128 }, (_, code) => (TOKEN.test(String.fromCharCode(code)) ? 1 : 0));

/** Reads a header field from left to right. */
export class FieldReader {
  at = 0;
  private readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  /** The code of the next character, NaN at the end. */
  get next(): number {
    return this.text.charCodeAt(this.at);
  }

  get isAtEnd(): boolean {
    return this.at >= this.text.length;
  }

  /** Reads a token. Throws a SyntaxError if there is none. */
  token(): string {
    const start = this.at;
    while (isTokenChar(this.next)) this.at++;
    if (this.at === start) this.fail();
    return this.text.slice(start, this.at);
  }

  /** Skips spaces and tabs; returns whether there were any. */
  space(): boolean {
    const start = this.at;
    while (this.next === 0x20 || this.next === 0x09) this.at++;
    return this.at > start;
  }

  /** Skips a character if it is the next one. */
  skip(character: string): boolean {
    if (this.next !== character.charCodeAt(0)) return false;
    this.at++;
    return true;
  }

  /** Throws a SyntaxError for the next character. */
  fail(): never {
    if (this.isAtEnd) throw new SyntaxError("Unexpected end of input");
    throw new SyntaxError(`Unexpected character at index ${this.at}`);
  }
}
