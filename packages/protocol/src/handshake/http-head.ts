import { protocolError } from "../errors.ts";
import type { ProtocolErrorCode, WebSocketError } from "../errors.ts";
import { ByteBuffer } from "./byte-buffer.ts";
import {
  HeaderFields,
  headerFieldsOf,
  isFieldValueCode,
  isSpace,
  isToken,
  TOKEN_CODES,
  trimSpace,
} from "./header-fields.ts";
import { parseTarget } from "./target.ts";
import { decodeLatin1 } from "../bytes/latin1.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { checkLimit, quote } from "../arguments.ts";

/** What a head may cost. Each is counted before anything is kept; Infinity turns one off. */
export interface HeadLimits {
  /** Bytes, of the head with its last empty line. Default 16 KiB. */
  readonly maxHeadSize: number;
  /** Header fields. Default 100. */
  readonly maxHeaders: number;
  /** Calls of `receive` with any bytes that the head may take. Default 1024. */
  readonly maxParts: number;
}

/** The default limits of a head. */
export const DEFAULT_HEAD_LIMITS: HeadLimits = { maxHeadSize: 16 * 1024, maxHeaders: 100, maxParts: 1024 };

function checkLimits(limits: Partial<HeadLimits>): HeadLimits {
  const { maxHeadSize, maxHeaders, maxParts } = DEFAULT_HEAD_LIMITS;
  return {
    maxHeadSize: checkLimit("maxHeadSize", limits.maxHeadSize, 1, maxHeadSize),
    maxHeaders: checkLimit("maxHeaders", limits.maxHeaders, 0, maxHeaders),
    maxParts: checkLimit("maxParts", limits.maxParts, 1, maxParts),
  };
}

export interface RequestLine {
  readonly method: string;
  /** As it was sent. */
  readonly target: string;
  readonly version: "1.1";
}

export interface RequestHead extends RequestLine {
  readonly headers: HeaderFields;
}

export interface StatusLine {
  readonly version: "1.0" | "1.1";
  readonly status: number;
  readonly reason: string;
}

export interface ResponseHead extends StatusLine {
  readonly headers: HeaderFields;
}

export type HeadProgress<Head> =
  | { readonly state: "more" }
  /** `rest`: a copy of the bytes behind the head. */
  | { readonly state: "done"; readonly head: Head; readonly rest: Uint8Array }
  | { readonly state: "error"; readonly error: WebSocketError<ProtocolErrorCode> };

const MORE = { state: "more" } as const;
const NO_BYTES = new Uint8Array(0);

const CR = 0x0d;
const LF = 0x0a;
const COLON = 0x3a;

// where the scan stands, by what may come next
const LINE = 0; // the start line
const LINE_LF = 1;
const FIELD = 2; // the first byte of a field line, or the CR of the empty line
const NAME = 3;
const BEFORE_VALUE = 4;
const VALUE = 5;
const VALUE_LF = 6;
const LAST_LF = 7;

const MOST_BOUNDS = 4 * 12; // 4 numbers for each of 12 fields

function malformed(expected: string, byte: number): WebSocketError<ProtocolErrorCode> {
  return protocolError("MALFORMED_HEAD", `expected ${expected}, got 0x${byte.toString(16).padStart(2, "0")}`);
}

/** What the heads of requests and of responses have differently. */
interface Grammar<Start> {
  /** Parses the start line. Undefined: the line is skipped. */
  parseStart(line: string): Start | WebSocketError<ProtocolErrorCode> | undefined;
  /**
   * Returns both together. They are assigned one by one, because spreading objects of varying types
   * is slow.
   */
  headOf(start: Start, headers: HeaderFields): Start & { readonly headers: HeaderFields };
  /** Whether another head follows, and only that one counts. */
  isInterim(start: Start): boolean;
  /**
   * Whether a line that begins with whitespace continues the field before it (RFC 9112 §5.2:
   * obs-fold).
   */
  readonly unfoldsLines: boolean;
}

/**
 * Parses a head incrementally. Each byte is read once. Bytes are kept only if the head arrives in
 * several chunks. It is strict, because a difference between two readers of the same head can be
 * used for an attack (RFC 9112 §11): lines end in CR LF, and a colon directly follows a field name.
 * Deviations are accepted only if RFC 9112 requires or recommends it, such as folded lines in
 * responses. If it merely allows it, they are errors: a bare LF at the end of a line (§2.2: "MAY"),
 * in responses too.
 */
abstract class HeadParser<Start extends object> {
  readonly #grammar: Grammar<Start>;
  readonly #limits: HeadLimits;
  readonly #decode: typeof decodeLatin1;
  /** What has come of a head that does not come in one piece. */
  #kept: ByteBuffer | undefined;
  /** Bytes that came before the last call of `receive`. */
  #earlier = 0;
  #parts = 0;
  #finished = false;
  #at = 0; // all positions count from the first byte received
  #state = LINE;
  #from = 0; // where the line, the name or the value in hand starts
  #start: Start | undefined;
  #fieldCount = 0;
  // four offsets for each field: start and end of its name and of its value; with room for most
  // heads
  #bounds = new Array<number>(MOST_BOUNDS);
  #bound = 0; // the number of them
  #folded = false; // whether a value has a line break in it

  constructor(grammar: Grammar<Start>, limits: Partial<HeadLimits> | undefined, runtime: Runtime | undefined) {
    this.#grammar = grammar;
    this.#decode = runtime?.primitives.decodeLatin1 ?? decodeLatin1;
    this.#limits = limits === undefined ? DEFAULT_HEAD_LIMITS : checkLimits(limits);
  }

  /**
   * Processes the next bytes. It does not keep the array. Throws INVALID_STATE after the end of the
   * head.
   */
  receive(bytes: Uint8Array): HeadProgress<Start & { readonly headers: HeaderFields }> {
    if (this.#finished) throw protocolError("INVALID_STATE", "the head is complete: create a new parser");
    if (bytes.length === 0) return MORE;
    if (++this.#parts > this.#limits.maxParts) return this.#fail("TOO_MANY_PARTS", this.#limits.maxParts);
    const kept = this.#kept;
    const before = (this.#earlier = kept === undefined ? 0 : kept.length);
    const taken = Math.min(bytes.length, this.#limits.maxHeadSize - before);
    kept?.append(bytes, 0, taken);
    const source = kept === undefined ? bytes : kept.bytes;
    const result = this.#scan(source, before + taken);
    if (result === undefined) {
      if (before + taken === this.#limits.maxHeadSize) return this.#fail("HEAD_TOO_BIG", this.#limits.maxHeadSize);
      if (kept === undefined) (this.#kept = new ByteBuffer()).append(bytes, 0, taken);
      return MORE;
    }
    this.#finished = true;
    if (result instanceof Error) return { state: "error", error: result };
    const head = this.#grammar.headOf(result, this.#fields(source));
    const rest = bytes.length === this.#at - before ? NO_BYTES : new Uint8Array(bytes.subarray(this.#at - before));
    return { state: "done", head, rest };
  }

  /**
   * Returns a copy of all bytes received. `last`: those of the last `receive`, if it did not return
   * "more".
   */
  received(last?: Uint8Array): Uint8Array {
    if (last === undefined) return new Uint8Array(this.#kept?.bytes.subarray(0, this.#kept.length) ?? NO_BYTES);
    const earlier = this.#earlier;
    const all = new Uint8Array(earlier + last.length);
    if (this.#kept !== undefined) all.set(this.#kept.bytes.subarray(0, earlier));
    all.set(last, earlier);
    return all;
  }

  #fail(code: "HEAD_TOO_BIG" | "TOO_MANY_PARTS", limit: number): HeadProgress<never> {
    this.#finished = true;
    return { state: "error", error: protocolError(code, `more than ${limit}`) };
  }

  #fields(source: Uint8Array): HeaderFields {
    const bounds = this.#bounds;
    const count = this.#bound;
    if (count === 0) return new HeaderFields();
    // decoded once, then cut
    const from = bounds[0];
    const text = this.#decode(source, from, bounds[count - 1]);
    for (let at = 0; at < count; at++) bounds[at] -= from;
    const fields = headerFieldsOf(text, bounds, count / 4);
    return this.#folded ? new HeaderFields(Array.from(fields, ([name, value]) => [name, unfold(value)])) : fields;
  }

  /** Goes on to `end`: the start line if the head is done, undefined if more has to come. */
  #scan(source: Uint8Array, end: number): Start | WebSocketError<ProtocolErrorCode> | undefined {
    while (this.#at < end) {
      const byte = source[this.#at++];
      switch (this.#state) {
        case LINE:
        case VALUE: {
          let current = byte;
          while (isFieldValueCode(current) && this.#at < end) current = source[this.#at++];
          if (current === CR) this.#lineEnd(source);
          else if (!isFieldValueCode(current)) return malformed("CR LF at the end of the line", current);
          break;
        }
        case LINE_LF: {
          if (byte !== LF) return malformed("LF behind CR", byte);
          const start = this.#grammar.parseStart(this.#decode(source, this.#from, this.#at - 2));
          if (start instanceof Error) return start;
          this.#start = start;
          this.#from = this.#at;
          this.#state = start === undefined ? LINE : FIELD;
          break;
        }
        case FIELD:
          if (byte === CR) {
            this.#state = LAST_LF;
            break;
          }
          if (isSpace(byte) && this.#grammar.unfoldsLines && this.#bound > 0) {
            // the value ends later: its bounds are taken back
            this.#bound -= 2;
            this.#from = this.#bounds[this.#bound];
            this.#folded = true;
            this.#state = VALUE;
            break;
          }
          if (++this.#fieldCount > this.#limits.maxHeaders) {
            return protocolError("TOO_MANY_HEADERS", `more than ${this.#limits.maxHeaders}`);
          }
          if (TOKEN_CODES[byte] !== 1) return malformed("a header name", byte);
          this.#from = this.#at - 1;
          this.#state = NAME;
          break;
        case NAME: {
          let current = byte;
          while (TOKEN_CODES[current] === 1 && this.#at < end) current = source[this.#at++];
          if (TOKEN_CODES[current] === 1) break;
          // RFC 9112 §5.1: "No whitespace is allowed between the field name and colon."
          if (current !== COLON) return malformed("a colon behind the header name", current);
          this.#bounds[this.#bound++] = this.#from;
          this.#bounds[this.#bound++] = this.#at - 1;
          this.#state = BEFORE_VALUE;
          break;
        }
        case BEFORE_VALUE:
          if (isSpace(byte)) break;
          this.#from = --this.#at;
          this.#state = VALUE;
          break;
        case VALUE_LF:
          if (byte !== LF) return malformed("LF behind CR", byte);
          this.#state = FIELD;
          break;
        default: {
          if (byte !== LF) return malformed("LF behind CR", byte);
          const start = this.#start as Start; // the only way to LAST_LF is over a start line
          if (!this.#grammar.isInterim(start)) return start;
          this.#bound = 0;
          this.#folded = false;
          this.#from = this.#at;
          this.#state = LINE;
        }
      }
    }
    return undefined;
  }

  /** At the CR that ends the start line or a value. */
  #lineEnd(source: Uint8Array): void {
    if (this.#state === LINE) {
      this.#state = LINE_LF;
      return;
    }
    let end = this.#at - 1;
    while (end > this.#from && isSpace(source[end - 1])) end--;
    this.#bounds[this.#bound++] = this.#from;
    this.#bounds[this.#bound++] = end;
    this.#state = VALUE_LF;
  }
}

/**
 * Returns a folded value on one line. RFC 9112 §5.2: "a user agent [...] MUST replace each received
 * obs-fold with one or more SP octets".
 */
function unfold(value: string): string {
  return value.includes("\r\n") ? trimSpace(value.split("\r\n").map(trimSpace).join(" ")) : value;
}

/** "1.1" of "HTTP/1.1"; undefined if it is no HTTP version. */
function parseVersion(text: string): string | undefined {
  return /^HTTP\/\d\.\d$/.test(text) ? text.slice(5) : undefined;
}

const REQUEST: Grammar<RequestLine> = {
  parseStart(line: string): RequestLine | WebSocketError<ProtocolErrorCode> | undefined {
    // RFC 9112 §2.2: "a server that is expecting to receive and parse a request-line SHOULD ignore
    // at least one empty line"
    if (line === "") return undefined;
    // RFC 9112 §3: request-line = method SP request-target SP HTTP-version
    const first = line.indexOf(" ");
    const second = line.indexOf(" ", first + 1);
    const method = line.slice(0, Math.max(first, 0));
    const target = line.slice(first + 1, Math.max(second, 0));
    const version = parseVersion(line.slice(second + 1));
    if (version === undefined || !isToken(method)) {
      return protocolError("MALFORMED_HEAD", `expected "METHOD target HTTP/1.1", got ${quote(line)}`);
    }
    if (version !== "1.1") return protocolError("UNSUPPORTED_HTTP_VERSION", `got HTTP/${version}`);
    if (parseTarget(target) === undefined) {
      return protocolError("MALFORMED_HEAD", `expected a path or an http(s) URL as target, got ${quote(target)}`);
    }
    return { method, target, version };
  },

  headOf({ method, target, version }: RequestLine, headers: HeaderFields): RequestHead {
    return { method, target, version, headers };
  },

  isInterim(): boolean {
    return false;
  },

  // RFC 9112 §5.2: "A server that receives an obs-fold in a request message [...] MUST either
  // reject the message [...]"
  unfoldsLines: false,
};

/** Parses the head of a request (RFC 9112 §2) from chunks of any size. */
export class RequestHeadParser extends HeadParser<RequestLine> {
  /** `runtime`: whose functions decode the head. Default portable ones. */
  constructor(limits?: Partial<HeadLimits>, runtime?: Runtime) {
    super(REQUEST, limits, runtime);
  }
}

const RESPONSE: Grammar<StatusLine> = {
  parseStart(line: string): StatusLine | WebSocketError<ProtocolErrorCode> {
    // RFC 9112 §4: status-line = HTTP-version SP status-code SP [ reason-phrase ]. Some servers
    // send no reason phrase and leave out the second SP with it. RFC 9110 §15: a status code below
    // 100 or above 599 is processed "as if it had a 5xx (Server Error) status code".
    const version = parseVersion(line.slice(0, 8));
    if (version === undefined || !/^ \d\d\d(?: |$)/.test(line.slice(8))) {
      return protocolError("MALFORMED_HEAD", `expected "HTTP/1.1 status reason", got ${quote(line)}`);
    }
    if (!version.startsWith("1.")) return protocolError("UNSUPPORTED_HTTP_VERSION", `got HTTP/${version}`);
    // RFC 9110 §2.5: a message with a higher minor version than that implemented is processed "as
    // if it was in the highest minor version"
    return { version: version === "1.0" ? "1.0" : "1.1", status: Number(line.slice(9, 12)), reason: line.slice(13) };
  },

  headOf({ version, status, reason }: StatusLine, headers: HeaderFields): ResponseHead {
    return { version, status, reason, headers };
  },

  isInterim(start: StatusLine): boolean {
    // RFC 9110 §15.2: "A client MUST be able to parse one or more 1xx responses received prior to a
    // final response"
    return start.status >= 100 && start.status < 200 && start.status !== 101;
  },

  unfoldsLines: true,
};

/**
 * Skips interim responses (100, 103, ...) in front of the final one or 101; all together are held
 * to the limits. HTTP/1.0 is let through: some proxies answer CONNECT with it, and some servers a
 * request that they refuse.
 */
export class ResponseHeadParser extends HeadParser<StatusLine> {
  /** `runtime`: whose functions decode the head. Default portable ones. */
  constructor(limits?: Partial<HeadLimits>, runtime?: Runtime) {
    super(RESPONSE, limits, runtime);
  }
}
