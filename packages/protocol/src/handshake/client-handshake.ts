import { protocolError } from "../errors.ts";
import type { ProtocolErrorCode, WebSocketError } from "../errors.ts";
import { portableSha1 } from "./sha1.ts";
import { encodeLatin1 } from "../bytes/latin1.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { acceptValue, makeKey } from "./accept-key.ts";
import type { Random, Sha1 } from "./accept-key.ts";
import { checkAnswer, checkOffers, checkProtocols, checkTarget, offerFields } from "./client-offer.ts";
import type { ClientOffer } from "./client-offer.ts";
import type { ClientExtension, NegotiatedExtension } from "./extensions.ts";
import { hasToken, parseTokenList } from "./header-fields.ts";
import type { HeaderFields } from "./header-fields.ts";
import { ResponseHeadParser } from "./http-head.ts";
import type { HeadLimits, ResponseHead } from "./http-head.ts";
import { formatHead } from "./outgoing-headers.ts";
import { ResponseBody } from "./response-body.ts";
import { checkLimit, invalidOption, quote } from "../arguments.ts";

/** Options of a client's handshake. */
export interface ClientHandshakeOptions extends ClientOffer {
  /** Fills an array with random bytes, for the key (RFC 6455 §4.1). */
  readonly random: Random;
  /** Returns the SHA-1 digest of bytes. Default: a portable function. */
  readonly sha1?: Sha1 | undefined;
  /** Of the response's head. */
  readonly limits?: Partial<HeadLimits> | undefined;
  /** Bytes kept of the body of a response other than 101. Default 64 KiB, Infinity for no limit. */
  readonly maxBodySize?: number | undefined;
  /** Whose functions decode the head. Default portable ones. */
  readonly runtime?: Runtime | undefined;
}

/** A response that is not 101. */
export interface RejectedResponse {
  /** The HTTP status code. */
  readonly status: number;
  /** The reason phrase; "" for none. */
  readonly reason: string;
  /** The header fields. */
  readonly headers: HeaderFields;
  /** The body, or the beginning of a long one. */
  readonly body: Uint8Array;
  /**
   * The end of the body was not seen: it is longer than `maxBodySize`, cut short or not well
   * formed.
   */
  readonly truncated: boolean;
}

/** The state of a client's handshake after some bytes. */
export type ClientHandshakeProgress =
  | {
      /** `more`: needs more bytes. `open`, `rejected` and `failed` are final. */
      readonly state: "more";
    }
  | {
      readonly state: "open";
      /** The subprotocol in use, "" for none. */
      readonly protocol: string;
      readonly extensions: readonly NegotiatedExtension[];
      /** The same as in Sec-WebSocket-Extensions, "" for none. */
      readonly extensionsHeader: string;
      readonly headers: HeaderFields;
      /** The bytes behind the response, the first of the connection. */
      readonly rest: Uint8Array;
    }
  /** UNEXPECTED_STATUS. The caller handles redirects and 401, which are reported here too. */
  | {
      readonly state: "rejected";
      readonly error: WebSocketError<ProtocolErrorCode>;
      readonly response: RejectedResponse;
    }
  | { readonly state: "failed"; readonly error: WebSocketError<ProtocolErrorCode> };

const MORE = { state: "more" } as const;
const DEFAULT_MAX_BODY_SIZE = 64 * 1024; // bytes

/**
 * The client's opening handshake (RFC 6455 §4.1): a request out, a response in. Throws
 * INVALID_ARGUMENT at construction for everything that can't be sent.
 */
export class ClientHandshake {
  readonly #sha1: Sha1;
  readonly #key: string;
  readonly #protocols: readonly string[];
  readonly #extensions: readonly ClientExtension[];
  readonly #head: string;
  readonly #parser: ResponseHeadParser;
  readonly #maxBodySize: number;
  #rejection: { readonly head: ResponseHead; readonly body: ResponseBody } | undefined;
  #over = false;

  constructor(options: ClientHandshakeOptions) {
    const { protocols = [], extensions = [], random, sha1 = portableSha1 } = options;
    for (const [name, value] of Object.entries({ random, sha1 })) {
      if (typeof value !== "function") throw invalidOption(name, "a function", value);
    }
    this.#parser = new ResponseHeadParser(options.limits, options.runtime);
    this.#maxBodySize = checkLimit("maxBodySize", options.maxBodySize, 0, DEFAULT_MAX_BODY_SIZE);
    this.#sha1 = sha1;
    this.#protocols = checkProtocols(protocols);
    this.#extensions = checkOffers(extensions);
    this.#key = makeKey(random);
    this.#head = formatHead(`GET ${checkTarget(options.target)} HTTP/1.1`, requestFields(options, this.#key));
  }

  /** The request, to be sent as it is. */
  request(): Uint8Array {
    return encodeLatin1(this.#head);
  }

  /**
   * Takes the next bytes, which are only borrowed. Throws INVALID_STATE once the handshake is over.
   */
  receive(bytes: Uint8Array): ClientHandshakeProgress {
    this.#checkNotOver();
    if (this.#rejection !== undefined) {
      this.#rejection.body.receive(bytes);
      return this.#progress();
    }
    const progress = this.#parser.receive(bytes);
    if (progress.state === "more") return progress;
    if (progress.state === "error") return this.#fail(progress.error);
    const { head, rest } = progress;
    if (head.status === 101) return this.#open(head, rest);
    const body = ResponseBody.of(head, this.#maxBodySize);
    if (body instanceof Error) return this.#fail(body);
    this.#rejection = { head, body };
    body.receive(rest);
    return this.#progress();
  }

  /**
   * The byte stream has ended: the end of a response whose length was not given, else of the
   * handshake. Throws INVALID_STATE once the handshake is over.
   */
  end(): ClientHandshakeProgress {
    return this.#endBy("end");
  }

  /**
   * No more bytes come, and the end of the byte stream was not seen: it broke, or time is up. A
   * response other than 101 whose head has come is reported, with `truncated`. Throws INVALID_STATE
   * once the handshake is over.
   */
  cut(): ClientHandshakeProgress {
    return this.#endBy("cut");
  }

  /** Whether the head of a response other than 101 has come; its body may be incomplete. */
  get isRejected(): boolean {
    return this.#rejection !== undefined;
  }

  #endBy(how: "end" | "cut"): ClientHandshakeProgress {
    this.#checkNotOver();
    if (this.#rejection === undefined) {
      return this.#fail(
        protocolError("CONNECTION_LOST", "the server sent no complete response to the opening handshake"),
      );
    }
    this.#rejection.body[how]();
    return this.#progress();
  }

  #checkNotOver(): void {
    if (this.#over) throw protocolError("INVALID_STATE", "the handshake is over");
  }

  #fail(error: WebSocketError<ProtocolErrorCode>): ClientHandshakeProgress {
    this.#over = true;
    return { state: "failed", error };
  }

  /** Of a response that is not 101. */
  #progress(): ClientHandshakeProgress {
    if (this.#rejection === undefined || !this.#rejection.body.done) return MORE;
    this.#over = true;
    const { status, reason, headers } = this.#rejection.head;
    const { body } = this.#rejection;
    const got = reason === "" ? `${status}` : `${status} ${quote(reason)}`;
    const response = { status, reason, headers, body: body.take(), truncated: body.truncated };
    return { state: "rejected", error: protocolError("UNEXPECTED_STATUS", `expected 101, got ${got}`), response };
  }

  /**
   * RFC 6455 §4.1, what "the client MUST validate [of] the server's response", numbered as there.
   */
  #open(head: ResponseHead, rest: Uint8Array): ClientHandshakeProgress {
    const { headers } = head;
    // RFC 9110 §15.2: "HTTP/1.0 did not define any 1xx status codes"; §7.8: Upgrade has no meaning
    // in HTTP/1.0. RFC 6455 §1.3 has HTTP/1.1 responses. Other responses of HTTP/1.0 are reported
    // with their status.
    if (head.version !== "1.1")
      return this.#fail(protocolError("UNSUPPORTED_HTTP_VERSION", `got HTTP/${head.version}`));
    // 2. "contains a value that is not an ASCII case-insensitive match for the value "websocket""
    const upgrade = headers.get("upgrade");
    const upgrades = parseTokenList(upgrade ?? "") ?? [];
    if (upgrades.length === 0 || !upgrades.every((value) => value.toLowerCase() === "websocket")) {
      return this.#fail(protocolError("INVALID_UPGRADE_HEADER", shown(upgrade)));
    }
    // 3. "doesn't contain a token that is an ASCII case-insensitive match for the value "Upgrade""
    const connection = headers.get("connection");
    if (!hasToken(connection, "upgrade")) {
      return this.#fail(protocolError("INVALID_CONNECTION_HEADER", shown(connection)));
    }
    // 4. "a value other than the base64-encoded SHA-1 of the concatenation of the
    // |Sec-WebSocket-Key| [...]"
    const accept = headers.get("sec-websocket-accept");
    const expected = acceptValue(this.#key, this.#sha1);
    if (accept !== expected) {
      return this.#fail(protocolError("INVALID_ACCEPT", `expected ${quote(expected)}, ${shown(accept)}`));
    }
    const answer = checkAnswer(this.#extensions, this.#protocols, headers);
    if (answer instanceof Error) return this.#fail(answer);
    this.#over = true;
    return { state: "open", ...answer, headers, rest };
  }
}

function shown(value: string | undefined): string {
  return value === undefined ? "got none" : `got ${quote(value)}`;
}

function requestFields(options: ClientHandshakeOptions, key: string): (readonly [name: string, value: string])[] {
  const { host, fields } = offerFields(options);
  return [["Host", host], ["Upgrade", "websocket"], ["Connection", "Upgrade"], ["Sec-WebSocket-Key", key], ...fields];
}
