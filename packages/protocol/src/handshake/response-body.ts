import { protocolError } from "../errors.ts";
import type { ProtocolErrorCode, WebSocketError } from "../errors.ts";
import { ByteBuffer } from "./byte-buffer.ts";
import { isFieldValueCode, isSpace, parseTokenList } from "./header-fields.ts";
import type { ResponseHead } from "./http-head.ts";
import { quote } from "../arguments.ts";

/** How the end of a body is known. */
type Framing = { readonly kind: "length"; readonly length: number } | { readonly kind: "chunked" | "until-end" };

/**
 * RFC 9112 §6.3, for a response to a GET request; an error where "the message framing is invalid".
 */
function framing({ version, status, headers }: ResponseHead): Framing | WebSocketError<ProtocolErrorCode> {
  if (status === 204 || status === 304) return { kind: "length", length: 0 };
  const codings = parseTokenList(headers.get("transfer-encoding") ?? "");
  if (codings?.length !== 0) {
    // RFC 9112 §6.3: "if [...] the chunked transfer coding is not the final encoding, the message
    // body length is determined by reading the connection until it is closed by the server"; §6.1:
    // HTTP/1.0 knows no transfer codings
    const last = codings?.at(-1)?.toLowerCase();
    return { kind: version === "1.1" && last === "chunked" ? "chunked" : "until-end" };
  }
  const value = headers.get("content-length");
  if (value === undefined) return { kind: "until-end" };
  // RFC 9112 §6.3: a Content-Length is invalid "unless the field value can be successfully parsed
  // as a comma-separated list [...], all values in the list are valid, and all values in the list
  // are the same"
  const [length = "", ...others] = parseTokenList(value) ?? [];
  if (!/^\d+$/.test(length) || others.some((other) => other !== length)) {
    return protocolError("MALFORMED_HEAD", `expected one Content-Length, got ${quote(value)}`);
  }
  return { kind: "length", length: Number(length) };
}

const CR = 0x0d;
const LF = 0x0a;
const SEMICOLON = 0x3b;
const MAX_CHUNK_LINE = 256; // bytes of a chunk's size and extensions, with the CR behind them

// where a chunked body stands
const SIZE = 0;
const EXTENSION = 1;
const SIZE_LF = 2;
const DATA = 3;
const DATA_CR = 4;
const DATA_LF = 5;

/** The value of a hexadecimal digit, -1 for any other byte. */
function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

/**
 * The body of a response, up to `max` bytes. It never waits for bytes that it would not keep: when
 * `max` are kept it is done, and `truncated` unless they are known to be all.
 */
export class ResponseBody {
  done = false;
  /** The end of the body was not seen. */
  truncated = false;
  private readonly kept = new ByteBuffer();
  private readonly max: number;
  private readonly framing: Framing;
  private remaining: number; // bytes of the body, or of the chunk in hand
  private state = SIZE;
  private lineLength = 0;

  private constructor(framed: Framing, max: number) {
    this.framing = framed;
    this.max = max;
    this.remaining = framed.kind === "length" ? framed.length : framed.kind === "until-end" ? Infinity : 0;
    if (framed.kind === "length" && framed.length === 0) this.done = true;
    else if (max === 0) this.cut();
  }

  /** An error if the head doesn't tell where the body ends. */
  static of(head: ResponseHead, max: number): ResponseBody | WebSocketError<ProtocolErrorCode> {
    const framed = framing(head);
    return framed instanceof Error ? framed : new ResponseBody(framed, max);
  }

  /** Takes the next bytes, which are only borrowed; those behind the end are ignored. */
  receive(bytes: Uint8Array): void {
    if (this.framing.kind === "chunked") {
      for (let at = 0; at < bytes.length && !this.done;) {
        if (this.state === DATA) at += this.keep(bytes, at);
        else this.chunkByte(bytes[at++]);
      }
    } else if (!this.done) {
      this.keep(bytes, 0);
    }
  }

  /** The stream has ended. */
  end(): void {
    if (this.framing.kind === "until-end") this.done = true;
    else if (!this.done) this.cut();
  }

  /** What was kept. */
  take(): Uint8Array {
    return this.kept.take();
  }

  /** Ends the body here, although its end was not seen. */
  cut(): void {
    this.done = true;
    this.truncated = true;
  }

  /** Keeps what belongs to the body of `bytes[at...]`; returns how many these are. */
  private keep(bytes: Uint8Array, at: number): number {
    const size = Math.min(bytes.length - at, this.remaining, this.max - this.kept.length);
    this.kept.append(bytes, at, at + size);
    this.remaining -= size;
    if (this.remaining === 0) {
      if (this.framing.kind === "length") this.done = true;
      else this.state = DATA_CR;
    }
    if (!this.done && this.kept.length === this.max) this.cut();
    return size;
  }

  private countLine(): void {
    if (++this.lineLength > MAX_CHUNK_LINE) this.cut();
  }

  /**
   * RFC 9112 §7.1, all but the data. A body that breaks these rules ends where it does: the
   * response's status is worth more than its text.
   */
  private chunkByte(byte: number): void {
    switch (this.state) {
      case SIZE: {
        const digit = hexDigit(byte);
        if (digit !== -1) this.remaining = this.remaining * 16 + digit;
        else if (this.lineLength === 0) return this.cut();
        else if (byte === CR) this.state = SIZE_LF;
        else if (byte === SEMICOLON || isSpace(byte)) this.state = EXTENSION;
        else return this.cut();
        this.countLine();
        break;
      }
      case EXTENSION:
        if (byte === CR) this.state = SIZE_LF;
        else if (!isFieldValueCode(byte)) return this.cut();
        this.countLine();
        break;
      case SIZE_LF:
        if (byte !== LF) return this.cut();
        this.state = DATA;
        // the last chunk; trailer fields are not waited for
        if (this.remaining === 0) this.done = true;
        break;
      case DATA_CR:
        if (byte !== CR) return this.cut();
        this.state = DATA_LF;
        break;
      default:
        if (byte !== LF) return this.cut();
        this.state = SIZE;
        this.lineLength = 0;
    }
  }
}
