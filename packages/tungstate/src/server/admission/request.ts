import type { ExtensionOffer, HeaderFields, HeaderInput } from "@tungstate/protocol";
import type { IncomingMessage } from "node:http";
import type { TLSSocket } from "node:tls";
import type { Transport } from "../../transport/transport.ts";
import type { OpeningRequest, Responder } from "../responder.ts";
import type { Proxies } from "./proxies.ts";

/** The origin of a handshake. */
export interface RequestOrigin {
  readonly transport: Transport;
  /** Answers it. */
  readonly responder: Responder;
  /** Whether it came over TLS. */
  readonly encrypted: boolean;
  /** The request of node:http, if the handshake came through it. */
  readonly raw: IncomingMessage | undefined;
  /** Called with the request before anything is decided. Throws a RefusedError. */
  readonly enter?: (request: HandshakeRequest) => void;
  /** Additional header fields of the response. */
  readonly headers?: HeaderInput | undefined;
}

/** A well-formed handshake request, as hooks and listeners get it. */
export class HandshakeRequest {
  /** Path and query, as sent. */
  readonly target: string;
  /** The path alone. */
  readonly path: string;
  /** The Host header field, as sent. */
  readonly host: string;
  /** The Origin header field; undefined for a client that is no browser. */
  readonly origin: string | undefined;
  /** All header fields of the request. */
  readonly headers: HeaderFields;
  /** The subprotocols offered, in order of preference. */
  readonly protocols: readonly string[];
  /** The extensions offered, in order of preference. */
  readonly offers: readonly ExtensionOffer[];
  /** Whether the request came over TLS. */
  readonly encrypted: boolean;
  /** The request of node:http; undefined where the handshake did not come through it. */
  readonly raw: IncomingMessage | undefined;
  /** For `authorize`: aborted when the handshake times out or the server closes. */
  readonly signal: AbortSignal | undefined;
  /** For the application: what `authorize` found out, such as the user. */
  data: unknown = undefined;
  readonly #from: RequestOrigin;
  readonly #proxies: Proxies | undefined;
  #address: string | undefined;

  constructor(
    request: OpeningRequest,
    from: RequestOrigin,
    proxies: Proxies | undefined,
    signal: AbortSignal | undefined,
  ) {
    this.target = request.target;
    const query = request.target.indexOf("?");
    this.path = query < 0 ? request.target : request.target.slice(0, query);
    this.host = request.host;
    this.origin = request.origin;
    this.headers = request.headers;
    this.protocols = request.protocols;
    this.offers = request.offers;
    this.#from = from;
    this.#proxies = proxies;
    this.encrypted = from.encrypted;
    this.raw = from.raw;
    this.signal = signal;
  }

  /**
   * The peer's IP address, read from the system at the first access; undefined if the client has
   * gone by then.
   */
  get remoteAddress(): string | undefined {
    return (this.#address ??= this.#from.transport.remoteAddress);
  }

  /**
   * The client's IP address as the trusted proxies report it. Without `trustProxy`, or without a
   * proxy, the `remoteAddress`.
   */
  get clientAddress(): string | undefined {
    const peer = this.remoteAddress;
    return this.#proxies === undefined ? peer : this.#proxies.clientOf(peer, this.headers);
  }

  /**
   * The TLS socket, for what it knows of the client: `getPeerCertificate()`, `authorized`,
   * `servername`. Undefined without TLS. Do not read from it or write to it.
   */
  get tlsSocket(): TLSSocket | undefined {
    return this.#from.transport.tlsSocket;
  }

  /** The parameters of the query. */
  get query(): URLSearchParams {
    return new URLSearchParams(this.target.slice(this.path.length));
  }
}
