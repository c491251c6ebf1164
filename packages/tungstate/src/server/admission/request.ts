import type { ExtensionOffer, HeaderFields, HeaderInput, UpgradeRequest } from "@tungstate/protocol";
import type { IncomingMessage } from "node:http";
import type { Transport } from "../../transport/transport.ts";
import type { HttpBackend } from "../http/backend.ts";
import type { Proxies } from "./proxies.ts";

/** Where a handshake came from. */
export interface RequestOrigin {
  readonly transport: Transport;
  /** Whether it came over TLS. */
  readonly encrypted: boolean;
  /** node:http's request, where the handshake came through it. */
  readonly raw: IncomingMessage | undefined;
  /** Told of a request before anything is decided about it. Throws a RefusedError. */
  readonly enter?: (request: HandshakeRequest) => void;
  /** More of what the 101 is to say, from whoever brings the request. */
  readonly headers?: HeaderInput | undefined;
  /** Gets the connection if it begins with a request that is no WebSocket handshake for this server. Default: such a request is refused. */
  readonly http?: HttpBackend | undefined;
}

/** A handshake that is well formed, for the application to look at. */
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
  /** The subprotocols offered, most wanted first. */
  readonly protocols: readonly string[];
  /** The extensions offered, most wanted first. */
  readonly offers: readonly ExtensionOffer[];
  /** Whether the request came over TLS. */
  readonly encrypted: boolean;
  /** The request of node:http; undefined where the handshake did not come through it. */
  readonly raw: IncomingMessage | undefined;
  /** For `authorize`: aborted when the handshake takes too long, or the server closes, before it is answered. */
  readonly signal: AbortSignal | undefined;
  /** For the application: what `authorize` found out, such as who this is. */
  data: unknown = undefined;
  readonly #from: RequestOrigin;
  readonly #proxies: Proxies | undefined;
  #address: string | undefined;

  constructor(
    request: UpgradeRequest,
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

  /** Asked of the system when it is first looked at: undefined if the client has gone by then. */
  get remoteAddress(): string | undefined {
    return (this.#address ??= this.#from.transport.remoteAddress);
  }

  /** Who is behind the trusted proxies, by what they say; without `trustProxy`, or without a proxy in between, the `remoteAddress`. */
  get clientAddress(): string | undefined {
    const peer = this.remoteAddress;
    return this.#proxies === undefined ? peer : this.#proxies.clientOf(peer, this.headers);
  }

  /** The query's parameters. */
  get query(): URLSearchParams {
    return new URLSearchParams(this.target.slice(this.path.length));
  }
}
