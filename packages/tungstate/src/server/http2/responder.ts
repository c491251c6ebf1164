import {
  type AcceptedConnect,
  acceptConnect,
  type AcceptOptions,
  type ConnectRequest,
  refuseConnect,
  type ServerHandshakeOptions,
  type WebSocketError,
} from "@tungstate/protocol";
import type { Http2Session, ServerHttp2Stream, ServerStreamResponseOptions } from "node:http2";
import { interfaceOf } from "../../dial/interfaces.ts";
import { NO_ERROR } from "../../http2/error-codes.ts";
import { headersOf } from "../../http2/fields.ts";
import type { SharedSession } from "../../http2/session.ts";
import { Http2StreamTransport } from "../../http2/stream-transport.ts";
import type { Clock } from "../../schedule/clock.ts";
import type { HttpVersion, Route } from "../../transport/route.ts";
import type { Transport } from "../../transport/transport.ts";
import { RefusedError } from "../admission/refused.ts";
import type { Arrivals } from "../door/arrivals.ts";
import type { Responder } from "../responder.ts";

/** No Date field, as in responses of HTTP/1.1. The types of Node.js lack this option. */
const NO_DATE: ServerStreamResponseOptions & { readonly sendDate: false } = { sendDate: false };

const LINGER = 1_000; // ms for a refused client to take the response

/** Answers an extended CONNECT on its stream (RFC 8441 §5). */
export class Http2Responder implements Responder {
  readonly route: Route;
  private readonly stream: ServerHttp2Stream;

  constructor(stream: ServerHttp2Stream, session: SharedSession) {
    this.stream = stream;
    this.route = new SessionRoute(session);
  }

  agree(request: ConnectRequest, negotiation: ServerHandshakeOptions, options: AcceptOptions): AcceptedConnect {
    return acceptConnect(request, negotiation, options);
  }

  accept({ fields }: AcceptedConnect): undefined {
    const { stream } = this;
    // a stream that the client has reset: its transport reports the end
    if (!stream.closed && !stream.destroyed) stream.respond(headersOf(fields), NO_DATE);
  }

  refuse(error: RefusedError, transport: Transport, clock: Clock): void {
    const { stream } = this;
    if (stream.closed || stream.destroyed) {
      transport.destroy();
      return;
    }
    const cancel = clock.after(LINGER, () => transport.destroy());
    stream.once("close", cancel);
    stream.respond(headersOf(refuseConnect(error.httpResponse)), NO_DATE);
    // RFC 9113 §8.1: a server "MAY request that the client abort transmission of a request without
    // error by sending a RST_STREAM with an error code of NO_ERROR after sending a complete
    // response"
    stream.end(error.httpResponse.body, () => stream.close(NO_ERROR));
  }
}

/** Refuses the request of a stream, and reports that. */
export function refuseStream(
  stream: ServerHttp2Stream,
  session: Http2Session,
  error: WebSocketError,
  arrivals: Arrivals,
): void {
  const refused = new RefusedError(error);
  const transport = new Http2StreamTransport(stream, session);
  new Http2Responder(stream, transport.session).refuse(refused, transport, arrivals.settings.clock);
  arrivals.onRefused(refused);
}

/** The route of a connection in a session. */
class SessionRoute implements Route {
  readonly path = undefined;
  readonly proxy = undefined;
  readonly httpVersion: HttpVersion = "2";
  readonly #session: SharedSession;

  constructor(session: SharedSession) {
    this.#session = session;
  }

  get interface(): string | undefined {
    const { localAddress } = this.#session;
    return localAddress === undefined ? undefined : interfaceOf(localAddress);
  }

  get localAddress(): string | undefined {
    return this.#session.localAddress;
  }

  get localPort(): number | undefined {
    return this.#session.localPort;
  }

  get remoteAddress(): string | undefined {
    return this.#session.remoteAddress;
  }

  get remotePort(): number | undefined {
    return this.#session.remotePort;
  }

  get session(): number {
    return this.#session.number;
  }
}
