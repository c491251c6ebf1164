import { protocolError, type WebSocketError } from "@tungstate/protocol";
import type { IncomingHttpHeaders, Http2Session, ServerHttp2Stream } from "node:http2";
import { ENHANCE_YOUR_CALM } from "../../http2/error-codes.ts";
import { pairsOf } from "../../http2/fields.ts";
import { Http2StreamTransport } from "../../http2/stream-transport.ts";
import type { AnyHttp2Server } from "../../native/http2-options.ts";
import { RefusedError } from "../admission/refused.ts";
import type { Arrivals } from "../door/arrivals.ts";
import type { Place } from "../door/first-request.ts";
import { serverError } from "../errors.ts";
import { Announcement, endSession } from "./announce.ts";
import { ArrivingSession } from "./arriving-session.ts";
import type { StreamTaker } from "./opened-stream.ts";
import { refuseStream } from "./responder.ts";
import { watchSession } from "./session-watch.ts";

/** The WebSocketServers that are attached to a server of node:http2. */
export interface StreamsOwner {
  /** The limits until the first request of a session. Undefined: there are none. */
  arrivals(): Arrivals | undefined;
  /** Returns the function that takes the WebSocket handshakes on a path; undefined if there is none. */
  streamTakerOf(target: string): StreamTaker | undefined;
  readonly maxConcurrentStreams: number | undefined;
}

/**
 * Takes the WebSocket handshakes of an HTTP/2 server before the listeners of its `stream` event
 * see them. With a `request` listener, one of these is the compatibility layer of node:http2, which
 * would answer them with 405. All other streams are left to the server.
 */
export class Http2Streams {
  private readonly server: AnyHttp2Server;
  private readonly owner: StreamsOwner;
  private readonly announcement: Announcement;
  private readonly arriving = new Map<Http2Session, ArrivingSession>();

  constructor(server: AnyHttp2Server, owner: StreamsOwner) {
    this.server = server;
    this.owner = owner;
    this.announcement = new Announcement(server, owner.maxConcurrentStreams);
  }

  close(): void {
    this.announcement.end();
    for (const each of this.arriving.values()) each.end();
    this.arriving.clear();
  }

  /** A session begins. `secured`: its place during the TLS handshake. */
  begin(session: Http2Session, secured: Place | undefined): void {
    this.announcement.began(session);
    const arrivals = this.owner.arrivals();
    if (arrivals === undefined) {
      secured?.leave();
      return;
    }
    const address = arrivals.countsAddresses ? session.socket.remoteAddress : undefined;
    const place = secured ?? arrivals.arrive(address, true);
    if (place instanceof RefusedError) {
      endSession(session, ENHANCE_YOUR_CALM);
      return;
    }
    this.arriving.set(session, new ArrivingSession(session, place, arrivals));
    session.once("close", () => this.arrived(session));
  }

  private arrived(session: Http2Session): void {
    this.arriving.get(session)?.end();
    this.arriving.delete(session);
  }

  /** A client has opened a stream. Returns true if it is not for the listeners of the server. */
  takes(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, _: number, rawHeaders: readonly string[]): boolean {
    const { session } = stream;
    if (session !== undefined) {
      this.arrived(session);
      this.announcement.seen(session);
    }
    const { ":method": method, ":protocol": protocol } = headers;
    if (method !== "CONNECT" || protocol === undefined) return false;
    const isOurs = protocol === "websocket";
    const taker = isOurs ? this.owner.streamTakerOf(headers[":path"] ?? "") : undefined;
    if (taker === undefined && this.hasOtherListeners()) return false;
    if (session !== undefined) this.watch(session);
    if (session === undefined || stream.closed) {
      // the client has reset it, so that it costs nothing more
      stream.on("error", ignore).resume();
      this.owner.arrivals()?.onRefused(serverError("REQUEST_LOST", "the stream was reset"));
    } else if (taker !== undefined) taker({ stream, session, fields: pairsOf(rawHeaders) });
    else {
      this.refuse(
        stream,
        session,
        isOurs ? serverError("PATH_NOT_FOUND") : protocolError("UNSUPPORTED_PROTOCOL", `got ${String(protocol)}`),
      );
    }
    return true;
  }

  /** Watches a session with WebSockets. */
  private watch(session: Http2Session): void {
    const arrivals = this.owner.arrivals();
    if (arrivals !== undefined) watchSession(session, arrivals.settings);
  }

  /** Whether the application has listeners that may answer an extended CONNECT. */
  private hasOtherListeners(): boolean {
    const { server } = this;
    // the compatibility layer of node:http2 listens where there is a `request` listener
    const own = server.listenerCount("request") > 0 ? 1 : 0;
    return server.listenerCount("connect") > 0 || server.listenerCount("stream") > own;
  }

  private refuse(stream: ServerHttp2Stream, session: Http2Session, error: WebSocketError): void {
    const arrivals = this.owner.arrivals();
    if (arrivals === undefined) new Http2StreamTransport(stream, session).destroy();
    else refuseStream(stream, session, error, arrivals);
  }
}

const ignore = (): void => undefined;
