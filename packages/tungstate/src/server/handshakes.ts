import {
  checkConnect,
  checkUpgrade,
  DEFAULT_HEAD_LIMITS,
  formatResponse,
  HeaderFields,
  type HeaderInput,
  type HeadLimits,
  type ProtocolErrorCode,
  protocolError,
  refusalFor,
  type UpgradeHead,
  type WebSocketError,
} from "@tungstate/protocol";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { isEncrypted } from "../client/url.ts";
import type { Driver } from "../connection/driver/driver.ts";
import type { ConnectionSettings } from "../connection/options.ts";
import type { WebSocketConnection } from "../connection/types.ts";
import type { StreamHandle } from "../native/system.ts";
import type { ByteStream } from "../transport/byte-stream.ts";
import { pairsOf } from "../http2/fields.ts";
import { Http2StreamTransport } from "../http2/stream-transport.ts";
import { HandleTransport } from "../transport/handle.ts";
import { transportOf } from "../transport/of.ts";
import { Accepting, type AcceptingOwner, type Done, endedRequest } from "./accepting.ts";
import type { Admission } from "./admission/admission.ts";
import { RefusedError, refusedForNow } from "./admission/refused.ts";
import type { HandshakeRequest, RequestOrigin } from "./admission/request.ts";
import { Room, type RoomOptions } from "./admission/room.ts";
import { serverError } from "./errors.ts";
import type { Arrivals } from "./door/arrivals.ts";
import type { KnownHandshake, Place } from "./door/first-request.ts";
import { handOver } from "./http/handover.ts";
import { Http2Responder } from "./http2/responder.ts";
import type { OpenedStream } from "./http2/opened-stream.ts";
import { HTTP_1_RESPONDER } from "./responder.ts";

/** Uses the handshakes of a server. */
export interface HandshakesHost {
  /** A handshake succeeded. `leave` is to be called when the connection has ended. */
  onAccepted(driver: Driver, request: HandshakeRequest, leave: (() => void) | undefined): void;
  onRefused(error: WebSocketError): void;
  /** Code of the application failed. */
  onError(error: unknown): void;
  /** Number of open connections. */
  openConnections(): number;
}

/**
 * The handshakes of a server, wherever they come from: each has its place, its limits and its
 * outcome.
 */
export class Handshakes implements Arrivals {
  readonly settings: ConnectionSettings;
  private readonly admission: Admission;
  private readonly room: Room;
  private readonly host: HandshakesHost;
  private readonly outcomes: AcceptingOwner = {
    accepted: (accepting, { driver, request }) => {
      this.room.end(accepting);
      this.host.onAccepted(driver, request, accepting.leave);
      accepting.done?.(driver.connection);
    },
    failed: (accepting, error) => this.failed(accepting, error),
  };
  private closing = false;

  constructor(options: RoomOptions, settings: ConnectionSettings, admission: Admission, host: HandshakesHost) {
    this.settings = settings;
    this.admission = admission;
    this.host = host;
    this.room = new Room(options, {
      proxies: admission.proxies,
      openConnections: () => host.openConnections(),
      shortOfMemory: () => !settings.memory.admits(),
    });
  }

  /** Number of handshakes under way, and of connections whose request is not known yet. */
  get size(): number {
    return this.room.underWay;
  }

  /** Number of addresses with connections or handshakes; 0 where they are not counted. */
  get addresses(): number {
    return this.room.addresses;
  }

  /** Answers an upgrade request of node:http. `answer`: header fields of the 101. */
  upgrade(
    request: IncomingMessage,
    socket: Duplex,
    head: Uint8Array,
    answer: HeaderInput | undefined,
  ): Promise<WebSocketConnection | undefined> {
    return new Promise((resolve) => {
      handOver(socket);
      const transport = transportOf(socket, this.settings);
      const from = { transport, responder: HTTP_1_RESPONDER, encrypted: isEncrypted(socket), raw: request };
      const accepting = this.accepting({ ...from, headers: answer }, resolve);
      const headers = new HeaderFields(pairsOf(request.rawHeaders));
      const { method = "", url: target = "", httpVersion: version } = request;
      this.decide(accepting, { method, target, version, headers }, headSizeOf(request), 1, () => head);
    });
  }

  /** Answers a handshake that was read on a new connection. */
  acceptKnown({ transport, encrypted, head, rest, size, parts, elapsed }: KnownHandshake): void {
    const now = this.settings.clock.now();
    const from = { transport, responder: HTTP_1_RESPONDER, encrypted, raw: undefined };
    const accepting = this.accepting(from, undefined, now - elapsed);
    if (now >= accepting.deadline) accepting.onDeadline();
    else this.decide(accepting, head, size, parts, () => rest);
  }

  /** Decides about a head that was read elsewhere, perhaps with other limits. */
  private decide(accepting: Accepting, head: UpgradeHead, size: number, parts: number, early: () => Uint8Array): void {
    const checked = this.overLimit(size, head.headers.size, parts) ?? checkUpgrade(head);
    if (checked instanceof Error) {
      accepting.fail(new RefusedError(checked, undefined, formatResponse(refusalFor(checked), head.method)));
    } else accepting.decide(checked, early);
  }

  /** Answers a request for a WebSocket on a stream of an HTTP/2 session. */
  acceptConnect({ stream, session, fields }: OpenedStream): void {
    const transport = new Http2StreamTransport(stream, session);
    const responder = new Http2Responder(stream, transport.session);
    const accepting = this.accepting({ transport, responder, encrypted: session.encrypted === true, raw: undefined });
    let size = 0;
    for (const [name, value] of fields) size += name.length + value.length + FIELD_REST;
    const checked = this.overLimit(size, fields.length, 1) ?? checkConnect(fields);
    if (checked instanceof Error) accepting.fail(new RefusedError(checked));
    // a WebSocket needs both halves of the stream
    else if (stream.endAfterHeaders) accepting.fail(endedRequest("the stream ends with its request"));
    else accepting.decide(checked, () => NO_BYTES);
  }

  /** Returns the error of a head beyond `handshakeLimits`. */
  private overLimit(size: number, fields: number, parts: number): WebSocketError<ProtocolErrorCode> | undefined {
    const { maxHeadSize, maxHeaders, maxParts } = { ...DEFAULT_HEAD_LIMITS, ...this.admission.handshake.limits };
    if (size > maxHeadSize) return protocolError("HEAD_TOO_BIG", `more than ${maxHeadSize}`);
    if (fields > maxHeaders) return protocolError("TOO_MANY_HEADERS", `more than ${maxHeaders}`);
    return parts > maxParts ? protocolError("TOO_MANY_PARTS", `more than ${maxParts}`) : undefined;
  }

  /** Does the handshake on a byte stream. */
  accept(stream: ByteStream): Promise<WebSocketConnection | undefined> {
    return new Promise((resolve) => {
      const transport = transportOf(stream, this.settings);
      const from = { transport, responder: HTTP_1_RESPONDER, encrypted: isEncrypted(stream), raw: undefined };
      this.accepting(from, resolve).begin();
    });
  }

  get timeout(): number {
    return this.admission.timeout;
  }

  get headLimits(): Partial<HeadLimits> | undefined {
    return this.admission.handshake.limits;
  }

  get countsAddresses(): boolean {
    return this.room.counts;
  }

  arrive(address: string | undefined, mayBeHttp: boolean): Place | RefusedError {
    // requests are answered by their HTTP server as long as that listens
    const isClosed = this.closing && !mayBeHttp;
    const leave = isClosed ? serverError("SERVER_CLOSING") : this.room.arrive(address, mayBeHttp);
    if (!(leave instanceof Error)) return { since: this.settings.clock.now(), leave };
    this.host.onRefused(leave);
    return refusedForNow(leave);
  }

  onRefused(error: WebSocketError): void {
    this.host.onRefused(error);
  }

  /** Does the handshake on a bare handle. */
  acceptHandle(handle: StreamHandle): void {
    const { noDelay, runtime } = this.settings;
    if (runtime.handles === undefined) return; // impossible: nothing is intercepted without it
    handle.setNoDelay?.(noDelay);
    const transport = new HandleTransport(handle, runtime.handles);
    this.accepting({ transport, responder: HTTP_1_RESPONDER, encrypted: false, raw: undefined }).begin();
  }

  /** Refuses all handshakes from now on, and those under way. */
  close(): void {
    this.closing = true;
    for (const each of this.room.handshakes) each.fail(refusedForNow(serverError("SERVER_CLOSING")));
  }

  /** Creates a handshake of this server; it fails at once if there is no room. */
  private accepting(from: RequestOrigin, done?: Done, since?: number): Accepting {
    const { room, admission, settings } = this;
    const { transport } = from;
    const origin: RequestOrigin = room.counts
      ? { ...from, enter: (request) => room.enter(accepting, request.clientAddress) }
      : from;
    const accepting: Accepting = new Accepting(transport, admission, settings, origin, this.outcomes, done, since);
    const refusal = room.begin(accepting, room.counts ? transport.remoteAddress : undefined);
    if (this.closing) accepting.fail(refusedForNow(serverError("SERVER_CLOSING")));
    else if (refusal !== undefined) accepting.fail(refusedForNow(refusal));
    return accepting;
  }

  private failed(accepting: Accepting, error: WebSocketError): void {
    this.room.end(accepting);
    accepting.leave?.();
    if (error.code === "AUTHORIZE_FAILED" || error.code === "RESPONSE_FAILED") this.host.onError(error.cause);
    this.host.onRefused(error);
    accepting.done?.(undefined);
  }
}

/**
 * The size of the head that node:http has parsed, in bytes: exact for a head with one space after
 * each colon, a little less or more for others.
 */
function headSizeOf({ method = "", url = "", rawHeaders }: IncomingMessage): number {
  let size = method.length + url.length + REQUEST_LINE_REST;
  for (const each of rawHeaders) size += each.length + 2; // ": " or CR LF
  return size;
}

const FIELD_REST = ": \r\n".length;
const NO_BYTES = new Uint8Array(0);
const REQUEST_LINE_REST = "  HTTP/1.1\r\n\r\n".length;
