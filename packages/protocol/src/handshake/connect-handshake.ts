import { invalidOption, quote } from "../arguments.ts";
import { protocolError } from "../errors.ts";
import type { ProtocolErrorCode, WebSocketError } from "../errors.ts";
import { checkAnswer, checkOffers, checkProtocols, checkTarget, offerFields } from "./client-offer.ts";
import type { ClientOffer } from "./client-offer.ts";
import { CONNECTION_FIELDS, type Http2Fields, lowerCase } from "./extended-connect.ts";
import type { ClientExtension } from "./extensions.ts";
import { HeaderFields } from "./header-fields.ts";
import type { Agreement } from "./server-handshake.ts";

/** Options of a client's handshake over HTTP/2. */
export interface ConnectHandshakeOptions extends ClientOffer {
  /** Whether the scheme is https, for a wss: URL. */
  readonly encrypted: boolean;
}

/** What a response to an extended CONNECT means. */
export type ConnectHandshakeResult =
  | ({
      /**
       * `open`: the stream is the WebSocket. `rejected`: another status, UNEXPECTED_STATUS.
       * `failed`: a response that is not valid.
       */
      readonly state: "open";
      /** The header fields of the response. */
      readonly headers: HeaderFields;
    } & Agreement)
  | {
      readonly state: "rejected";
      readonly error: WebSocketError<ProtocolErrorCode>;
      readonly status: number;
      /** The header fields of the response. */
      readonly headers: HeaderFields;
    }
  | { readonly state: "failed"; readonly error: WebSocketError<ProtocolErrorCode> };

/**
 * The client's opening handshake over HTTP/2 (RFC 8441 §5): the fields of a request out, those of
 * the response in. Throws INVALID_ARGUMENT at construction for everything that can't be sent.
 */
export class ConnectHandshake {
  /** The fields of the request. */
  readonly fields: Http2Fields;
  readonly #protocols: readonly string[];
  readonly #extensions: readonly ClientExtension[];

  constructor(options: ConnectHandshakeOptions) {
    const { protocols = [], extensions = [], encrypted, target } = options;
    this.#protocols = checkProtocols(protocols);
    this.#extensions = checkOffers(extensions);
    const { host, fields } = offerFields(options);
    this.fields = [
      [":method", "CONNECT"],
      [":protocol", "websocket"],
      [":scheme", encrypted ? "https" : "http"],
      [":path", checkTarget(target)],
      [":authority", host],
      ...fields.map(lowerCase).map(checkField),
    ];
  }

  /** Takes the fields of the response; not those of an interim response (1xx). */
  receive(fields: Http2Fields): ConnectHandshakeResult {
    const statuses = fields.filter(([name]) => name === ":status").map(([, value]) => value);
    const [value = ""] = statuses;
    // RFC 9113 §8.3.2: "a single ":status" pseudo-header field is defined"; RFC 9110 §15: three
    // digits
    if (statuses.length !== 1 || !/^[1-9]\d\d$/.test(value)) {
      return { state: "failed", error: protocolError("MALFORMED_HEAD", `:status, got ${quote(statuses.join(", "))}`) };
    }
    const headers = new HeaderFields(fields.filter(([name]) => !name.startsWith(":")));
    if (value !== "200") {
      const error = protocolError("UNEXPECTED_STATUS", `expected 200, got ${value}`);
      return { state: "rejected", error, status: Number(value), headers };
    }
    const answer = checkAnswer(this.#extensions, this.#protocols, headers);
    return answer instanceof Error ? { state: "failed", error: answer } : { state: "open", headers, ...answer };
  }
}

/**
 * RFC 9113 §8.2.2: "An endpoint MUST NOT generate an HTTP/2 message containing connection-specific
 * header fields." The TE header field "MUST NOT contain any value other than "trailers"". Throws
 * INVALID_ARGUMENT.
 */
function checkField(field: readonly [name: string, value: string]): readonly [string, string] {
  const [name, value] = field;
  if (name === "te" ? value.toLowerCase() !== "trailers" : NOT_IN_HTTP2.has(name)) {
    throw invalidOption("headers", "header fields that HTTP/2 can carry", name);
  }
  return field;
}

const NOT_IN_HTTP2: ReadonlySet<string> = new Set([...CONNECTION_FIELDS, "http2-settings"]);
