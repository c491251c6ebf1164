import { protocolError } from "../errors.ts";
import type { ProtocolErrorCode, WebSocketError } from "../errors.ts";
import { encodeLatin1 } from "../bytes/latin1.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { acceptValue } from "./accept-key.ts";
import type { Sha1, Sha1Base64 } from "./accept-key.ts";
import { ByteBuffer } from "./byte-buffer.ts";
import { answerOffers, checkExtensions, formatExtensions } from "./extensions.ts";
import type { NegotiatedExtension, ServerExtension } from "./extensions.ts";
import { RequestHeadParser } from "./http-head.ts";
import type { HeadLimits } from "./http-head.ts";
import { checkHeaders } from "./outgoing-headers.ts";
import type { HeaderInput } from "./outgoing-headers.ts";
import { buildRefusal, formatResponse, refusalFor } from "./refusal.ts";
import type { Refusal } from "./refusal.ts";
import { checkLimit, invalidOption } from "../arguments.ts";
import { checkUpgrade } from "./upgrade-request.ts";
import type { HandshakeOffer, UpgradeRequest } from "./upgrade-request.ts";

/** What a server adds to its acceptance. */
export interface AcceptOptions {
  /** One of the request's protocols; none if undefined or "". */
  readonly protocol?: string | undefined;
  /** Additional header fields of the 101. */
  readonly headers?: HeaderInput | undefined;
}

/** How a server answers handshakes. One object may serve all of them. */
export interface ServerNegotiation {
  /** Returns the SHA-1 digest of bytes. Default: a portable function. */
  readonly sha1?: Sha1 | undefined;
  /** Returns the SHA-1 digest of ASCII text in base64. Used instead of `sha1`. */
  readonly sha1Base64?: Sha1Base64 | undefined;
  /** Default none. */
  readonly extensions?: readonly ServerExtension[] | undefined;
}

/** What both sides agreed on. */
export interface Agreement {
  /** The subprotocol in use, "" for none. */
  readonly protocol: string;
  /** The extensions in use, in the order of the response. */
  readonly extensions: readonly NegotiatedExtension[];
  /** The same as in Sec-WebSocket-Extensions, "" for none. */
  readonly extensionsHeader: string;
}

/** An accepted handshake. */
export interface AcceptedUpgrade extends Agreement {
  /** The 101 response, to be sent as it is. */
  readonly response: Uint8Array;
}

/** An accepted handshake whose response is still text, of characters up to U+00FF. */
export interface AgreedUpgrade extends Agreement {
  readonly head: string;
}

/**
 * Accepts a request that `checkUpgrade` has passed (RFC 6455 §4.2.2). Throws INVALID_ARGUMENT for a
 * subprotocol that was not offered, and for invalid header fields.
 */
export function acceptUpgrade(
  request: UpgradeRequest,
  negotiation: ServerNegotiation,
  options?: AcceptOptions,
): AcceptedUpgrade {
  const { head, protocol, extensions, extensionsHeader } = agreeToUpgrade(request, negotiation, options);
  return { response: encodeLatin1(head), protocol, extensions, extensionsHeader };
}

/** As `acceptUpgrade`; the response is text. */
export function agreeToUpgrade(
  request: UpgradeRequest,
  negotiation: ServerNegotiation,
  options: AcceptOptions = NO_OPTIONS,
): AgreedUpgrade {
  const { fields, protocol, extensions, extensionsHeader } = agree(request, negotiation, options);
  let head = SWITCHING + acceptValue(request.key, negotiation.sha1, negotiation.sha1Base64);
  for (const [name, value] of fields) head += `\r\n${name}: ${value}`;
  return { head: `${head}\r\n\r\n`, protocol, extensions, extensionsHeader };
}

/**
 * Accepts the offer of a request of any version of HTTP. `fields`: header fields of the response
 * that all versions have.
 */
export function agree(
  request: HandshakeOffer,
  { extensions = NO_EXTENSIONS }: Pick<ServerNegotiation, "extensions">,
  { protocol = "", headers }: AcceptOptions,
): Agreement & { readonly fields: readonly (readonly [name: string, value: string])[] } {
  if (protocol !== "" && !request.protocols.includes(protocol)) {
    const offered = request.protocols.length === 0 ? "none was offered" : request.protocols.join(", ");
    throw invalidOption("protocol", `a subprotocol that the client offered (${offered})`, protocol);
  }
  const own = headers === undefined ? undefined : checkHeaders(headers);
  const negotiated = answerOffers(extensions, request.offers);
  const extensionsHeader = negotiated.length === 0 ? "" : formatExtensions(negotiated);
  const fields: (readonly [string, string])[] = [];
  if (protocol !== "") fields.push(["Sec-WebSocket-Protocol", protocol]);
  if (extensionsHeader !== "") fields.push(["Sec-WebSocket-Extensions", extensionsHeader]);
  if (own !== undefined) fields.push(...own);
  return { protocol, extensions: negotiated, extensionsHeader, fields };
}

const NO_OPTIONS: AcceptOptions = Object.freeze({});
const NO_EXTENSIONS: readonly ServerExtension[] = Object.freeze([]);

/** The 101 up to the value of Sec-WebSocket-Accept. */
const SWITCHING =
  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ";

/** Options of a server's handshake. */
export interface ServerHandshakeOptions extends ServerNegotiation {
  /** Limits of the request head. Default: DEFAULT_HEAD_LIMITS. */
  readonly limits?: Partial<HeadLimits> | undefined;
  /** Bytes that may come behind the head before `accept`. Default 64 KiB, Infinity for no limit. */
  readonly maxEarlyData?: number | undefined;
  /** Whose functions decode the head. Default portable ones. */
  readonly runtime?: Runtime | undefined;
}

/** The state of a server's handshake after some bytes. */
export type ServerHandshakeProgress =
  | {
      /** `more`: needs more bytes. `request`: needs an answer. `refused` is final. */
      readonly state: "more";
    }
  /**
   * Answer it with `accept` or `refuse`. Returned once; later, `receive` returns "more" and keeps
   * the bytes.
   */
  | { readonly state: "request"; readonly request: UpgradeRequest }
  /** Send the response, then close. Final. */
  | { readonly state: "refused"; readonly error: WebSocketError<ProtocolErrorCode>; readonly response: Uint8Array };

const MORE = { state: "more" } as const;
const NO_BYTES = new Uint8Array(0);
const DEFAULT_MAX_EARLY_DATA = 64 * 1024; // bytes

/** The server's opening handshake: a request in, a 101 or a refusal out. */
export class ServerHandshake {
  readonly #negotiation: ServerNegotiation;
  readonly #maxEarlyData: number;
  readonly #parser: RequestHeadParser;
  #early: ByteBuffer | undefined;
  #request: UpgradeRequest | undefined;
  #method = "GET";
  #over = false;

  constructor(options: ServerHandshakeOptions = {}) {
    const { sha1, extensions, limits, maxEarlyData, runtime } = options;
    if (sha1 !== undefined && typeof sha1 !== "function") throw invalidOption("sha1", "a function", sha1);
    if (extensions !== undefined) checkExtensions(extensions);
    this.#negotiation = options;
    this.#parser = new RequestHeadParser(limits, runtime);
    this.#maxEarlyData = checkLimit("maxEarlyData", maxEarlyData, 0, DEFAULT_MAX_EARLY_DATA);
  }

  /**
   * Processes the next bytes. It does not keep the array. Throws INVALID_STATE after the end of the
   * handshake.
   */
  receive(bytes: Uint8Array): ServerHandshakeProgress {
    this.#checkNotOver();
    if (this.#request !== undefined) return this.#keep(bytes) ?? MORE;
    const progress = this.#parser.receive(bytes);
    if (progress.state === "more") return progress;
    if (progress.state === "error") return this.#reject(progress.error);
    this.#method = progress.head.method;
    const request = checkUpgrade(progress.head);
    if (request instanceof Error) return this.#reject(request);
    this.#request = request;
    return this.#keep(progress.rest) ?? { state: "request", request };
  }

  /**
   * Accepts the request. `rest` are the bytes received after it. Throws INVALID_STATE without a
   * request to answer, and what `acceptUpgrade` throws; the handshake then still waits for an
   * answer.
   */
  accept(options?: AcceptOptions): AcceptedUpgrade & { readonly rest: Uint8Array } {
    const request = this.#request;
    if (request === undefined || this.#over)
      throw protocolError("INVALID_STATE", "no request has arrived, or it was answered already");
    const accepted = acceptUpgrade(request, this.#negotiation, options);
    return { ...accepted, rest: this.release() };
  }

  /**
   * Ends the handshake for a caller of `acceptUpgrade`. Returns the bytes received after the
   * request.
   */
  release(): Uint8Array {
    this.#checkNotOver();
    this.#over = true;
    return this.#early?.take() ?? NO_BYTES;
  }

  /**
   * Returns the response that refuses the request, which may be incomplete (408). Throws
   * INVALID_STATE after the end of the handshake, and what `buildRefusal` throws.
   */
  refuse(refusal: Refusal): Uint8Array {
    this.#checkNotOver();
    const response = formatResponse(buildRefusal(refusal), this.#method);
    this.#over = true;
    return response;
  }

  #keep(bytes: Uint8Array): ServerHandshakeProgress | undefined {
    if (bytes.length === 0) return undefined;
    this.#early ??= new ByteBuffer();
    if (this.#early.length + bytes.length > this.#maxEarlyData) {
      return this.#reject(protocolError("TOO_MUCH_EARLY_DATA", `more than ${this.#maxEarlyData}`));
    }
    this.#early.append(bytes, 0, bytes.length);
    return undefined;
  }

  #reject(error: WebSocketError<ProtocolErrorCode>): ServerHandshakeProgress {
    this.#over = true;
    this.#early = undefined;
    return { state: "refused", error, response: formatResponse(refusalFor(error), this.#method) };
  }

  #checkNotOver(): void {
    if (this.#over) throw protocolError("INVALID_STATE", "the handshake is over");
  }
}
