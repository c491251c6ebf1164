import { protocolError } from "../errors.ts";
import type { ProtocolErrorCode, WebSocketError } from "../errors.ts";
import { RSV_BITS } from "../frames/frame.ts";
import { isSpace, isToken, TOKEN_CODES } from "./header-fields.ts";
import { invalidOption, quote } from "../arguments.ts";

/** Parameters in order, repeated ones included: the extension checks them. `true`: no value. */
export type ExtensionParams = readonly (readonly [name: string, value: string | true])[];

/** One element of Sec-WebSocket-Extensions. */
export interface ExtensionOffer {
  /** The name of the extension. */
  readonly name: string;
  /** Its parameters, in order. */
  readonly params: ExtensionParams;
}

/** An extension as a server knows it. `N`: what it has to remember of the negotiation. */
export interface ServerExtension<N extends object = object> {
  /** The name of the extension. */
  readonly name: string;
  /** Bits of the first byte of a frame that the extension uses (RSV1 = 0x40); 0 for none. */
  readonly rsv: number;
  /**
   * Accepts the first acceptable offer of the client, in the client's order. Returns undefined to
   * decline.
   * Offers come from the peer and may hold anything that the grammar allows.
   */
  answer(offers: readonly ExtensionOffer[]): { readonly params: ExtensionParams; readonly negotiated: N } | undefined;
}

/** An extension as a client knows it. */
export interface ClientExtension<N extends object = object> {
  /** The name of the extension. */
  readonly name: string;
  /** The RSV bits that it uses, as a part of 0x70. */
  readonly rsv: number;
  /** What to ask for, most wanted first; all of this name. None: the extension is not offered. */
  readonly offers: readonly ExtensionOffer[];
  /** The server's answer: what to remember of it, or a text that says what is wrong with it. */
  accept(params: ExtensionParams): N | string;
}

/** An extension that both sides have agreed on. */
export interface NegotiatedExtension<N extends object = object> {
  /** The name of the extension. */
  readonly name: string;
  /** The parameters of the response, in order. */
  readonly params: ExtensionParams;
  /** The RSV bits that it uses, as a part of 0x70. */
  readonly rsv: number;
  /** The result of the extension's own negotiation. */
  readonly negotiated: N;
}

const BACKSLASH = 0x5c;
const QUOTE = 0x22;

/** Walks over a header value; each step costs what it passes. */
class Scanner {
  private readonly text: string;
  private at = 0;

  constructor(text: string) {
    this.text = text;
  }

  get done(): boolean {
    return this.at === this.text.length;
  }

  /** Steps over `character` and the whitespace around it, if it comes next. */
  take(character: string): boolean {
    this.skipSpace();
    if (this.text[this.at] !== character) return false;
    this.at++;
    this.skipSpace();
    return true;
  }

  /** A token, "" if none comes next. */
  token(): string {
    const start = this.at;
    while (TOKEN_CODES[this.text.charCodeAt(this.at)] === 1) this.at++;
    return this.text.slice(start, this.at);
  }

  /** A token, or a quoted string that holds one; "" if neither comes next. */
  value(): string {
    if (this.text.charCodeAt(this.at) !== QUOTE) return this.token();
    this.at++;
    let value = "";
    for (;;) {
      let code = this.text.charCodeAt(this.at++);
      if (code === QUOTE) return value;
      if (code === BACKSLASH) code = this.text.charCodeAt(this.at++);
      // RFC 6455 §9.1: "the value after quoted-string unescaping MUST conform to the 'token' ABNF"
      if (TOKEN_CODES[code] !== 1) return "";
      value += String.fromCharCode(code);
    }
  }

  private skipSpace(): void {
    while (isSpace(this.text.charCodeAt(this.at))) this.at++;
  }
}

/**
 * Parses a Sec-WebSocket-Extensions value. Returns undefined if it is malformed (RFC 6455 §9.1).
 * Its grammar is that of RFC 2616: whitespace may be between any two parts, and empty list elements
 * do not count. A value without elements is an empty list, as is an absent field.
 */
export function parseExtensions(value: string): readonly ExtensionOffer[] | undefined {
  const scanner = new Scanner(value);
  const offers: ExtensionOffer[] = [];
  while (scanner.take(","));
  while (!scanner.done) {
    const name = scanner.token();
    if (name === "") return undefined;
    const params: [string, string | true][] = [];
    while (scanner.take(";")) {
      const param = scanner.token();
      const given = scanner.take("=") ? scanner.value() : true;
      if (param === "" || given === "") return undefined;
      params.push([param, given]);
    }
    offers.push({ name, params });
    if (!scanner.take(",") && !scanner.done) return undefined;
    while (scanner.take(","));
  }
  return offers;
}

/**
 * Returns a Sec-WebSocket-Extensions value. Throws INVALID_ARGUMENT for names and values that are
 * not tokens.
 */
export function formatExtensions(list: readonly ExtensionOffer[]): string {
  return list
    .map(({ name, params }) =>
      [checkedToken(name), ...params.map(([key, value]) => formatParam(key, value))].join("; "),
    )
    .join(", ");
}

function formatParam(name: string, value: string | true): string {
  return value === true ? checkedToken(name) : `${checkedToken(name)}=${checkedToken(value)}`;
}

function checkedToken(text: string): string {
  if (typeof text !== "string" || !isToken(text)) throw invalidOption("each name of extensions", "a token", text);
  return text;
}

/** Throws INVALID_ARGUMENT for extensions that can't be negotiated. */
export function checkExtensions(extensions: readonly (ServerExtension | ClientExtension)[]): void {
  const names = new Set<string>();
  for (const { name, rsv } of extensions) {
    if (names.has(checkedToken(name))) throw invalidOption("each name of extensions", "distinct", name);
    names.add(name);
    if (!Number.isInteger(rsv) || (rsv & ~RSV_BITS) !== 0) {
      throw invalidOption(`rsv of the extension ${name}`, "a combination of the bits 0x40, 0x20 and 0x10", rsv);
    }
  }
}

const NOTHING: readonly NegotiatedExtension[] = Object.freeze([]);

/** Returns the extensions that a server accepts, in the order of the client's offers. */
export function answerOffers(
  extensions: readonly ServerExtension[],
  offers: readonly ExtensionOffer[],
): readonly NegotiatedExtension[] {
  if (extensions.length === 0 || offers.length === 0) return NOTHING;
  const accepted: NegotiatedExtension[] = [];
  let used = 0;
  for (const name of new Set(offers.map((offer) => offer.name))) {
    const extension = extensions.find((one) => one.name === name);
    // two extensions cannot use the same bit (RFC 6455 §5.2, §9): the one that the client prefers
    // gets it
    if (extension === undefined || (extension.rsv & used) !== 0) continue;
    const answer = extension.answer(offers.filter((offer) => offer.name === name));
    if (answer === undefined) continue;
    used |= extension.rsv;
    accepted.push({ name, params: answer.params, rsv: extension.rsv, negotiated: answer.negotiated });
  }
  return accepted;
}

/** The client's side: what the server's Sec-WebSocket-Extensions says, or why that can't be. */
export function acceptAnswer(
  extensions: readonly ClientExtension[],
  value: string | undefined,
): readonly NegotiatedExtension[] | WebSocketError<ProtocolErrorCode> {
  if (value === undefined) return [];
  const answers = parseExtensions(value);
  if (answers === undefined) return protocolError("INVALID_EXTENSIONS", `got ${quote(value)}`);
  const refuse = (detail: string) => protocolError("UNREQUESTED_EXTENSION", detail);
  const accepted: NegotiatedExtension[] = [];
  let used = 0;
  for (const { name, params } of answers) {
    // RFC 6455 §4.1: "an extension that was not present in the client's handshake [...], the client
    // MUST _Fail the WebSocket Connection_"
    const extension = extensions.find((one) => one.name === name && one.offers.length > 0);
    if (extension === undefined) return refuse(`${quote(name)} was not offered`);
    if (accepted.some((one) => one.name === name)) return refuse(`${quote(name)} came twice`);
    if ((extension.rsv & used) !== 0) return refuse(`${quote(name)} uses a bit that another one uses`);
    const negotiated = extension.accept(params);
    if (typeof negotiated === "string") return refuse(`${quote(name)}: ${negotiated}`);
    used |= extension.rsv;
    accepted.push({ name, params, rsv: extension.rsv, negotiated });
  }
  return accepted;
}
