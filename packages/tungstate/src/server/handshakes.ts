import {
  checkUpgrade,
  DEFAULT_HEAD_LIMITS,
  formatResponse,
  HeaderFields,
  type HeaderInput,
  protocolError,
  refusalFor,
  type WebSocketError,
} from "@tungstate/protocol";
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { isEncrypted } from "../client/url.ts";
import type { Driver } from "../connection/driver.ts";
import type { ConnectionSettings } from "../connection/options.ts";
import type { WebSocketConnection } from "../connection/types.ts";
import type { StreamHandle } from "../native/system.ts";
import type { ByteStream } from "../transport/byte-stream.ts";
import { DuplexTransport } from "../transport/duplex.ts";
import { HandleTransport } from "../transport/handle.ts";
import { transportOf } from "../transport/of.ts";
import { Accepting, type AcceptingOwner, type Done } from "./accepting.ts";
import { type Admission, RefusedError, refusedForNow } from "./admission/admission.ts";
import type { HandshakeRequest, RequestOrigin } from "./admission/request.ts";
import { Room, type RoomOptions } from "./admission/room.ts";
import { serverError } from "./errors.ts";
import type { HttpBackend } from "./http/backend.ts";
import { handOver } from "./http/handover.ts";

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

/** The handshakes of a server, wherever they come from: each has its place, its limits and its outcome. */
export class Handshakes {
  private readonly settings: ConnectionSettings;
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
    passed: (accepting) => {
      this.room.end(accepting);
      accepting.leave?.();
    },
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

  /** Number of handshakes under way. */
  get size(): number {
    return this.room.handshakes.size;
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
      const from = { transport: transportOf(socket, this.settings), encrypted: isEncrypted(socket), raw: request };
      const accepting = this.accepting({ ...from, headers: answer }, resolve);
      const headers = new HeaderFields(pairs(request.rawHeaders));
      const { method = "", url: target = "", httpVersion: version } = request;
      const upgrade = checkUpgrade({ method, target, version, headers });
      // node:http has other limits for the rest of a head
      const tooMany =
        request.rawHeaders.length / 2 > (this.admission.handshake.limits?.maxHeaders ?? DEFAULT_HEAD_LIMITS.maxHeaders);
      const wrong = tooMany ? protocolError("TOO_MANY_HEADERS") : upgrade;
      if (wrong instanceof Error) {
        accepting.fail(new RefusedError(wrong, undefined, formatResponse(refusalFor(wrong), method)));
      } else accepting.decide(wrong, () => head);
    });
  }

  /** Does the handshake on a byte stream. */
  accept(stream: ByteStream): Promise<WebSocketConnection | undefined> {
    return new Promise((resolve) => {
      const transport = transportOf(stream, this.settings);
      this.accepting({ transport, encrypted: isEncrypted(stream), raw: undefined }, resolve).begin();
    });
  }

  /**
   * TLS comes before everything that has limits elsewhere, so its handshakes count as WebSocket
   * handshakes.
   */
  startTls({ remoteAddress }: Socket, withHttp: boolean): (() => void) | undefined {
    if (this.closing) return undefined;
    const started = this.room.startTls(remoteAddress, withHttp);
    if (!(started instanceof Error)) return started;
    this.host.onRefused(started);
    return undefined;
  }

  acceptHandle(handle: StreamHandle, http: HttpBackend | undefined): void {
    const { noDelay, runtime } = this.settings;
    if (runtime.handles === undefined) return; // impossible: nothing is intercepted without it
    handle.setNoDelay?.(noDelay);
    const transport = new HandleTransport(handle, runtime.handles);
    this.accepting({ transport, encrypted: false, raw: undefined, http }).begin();
  }

  acceptSocket(socket: Socket, http: HttpBackend | undefined): void {
    if (http === undefined) {
      void this.accept(socket);
      return;
    }
    socket.setNoDelay(this.settings.noDelay);
    // not `transportOf`: the HTTP server may need the socket unchanged
    const transport = new DuplexTransport(socket);
    this.accepting({ transport, encrypted: isEncrypted(socket), raw: undefined, http }).begin();
  }

  /** Refuses all handshakes from now on, and those under way; a request that is not known yet is read to the end of its head. */
  close(): void {
    this.closing = true;
    // the HTTP server answers a request that is not a handshake, as it would without us
    for (const each of this.room.handshakes) {
      if (!each.mayPass) each.fail(refusedForNow(serverError("SERVER_CLOSING")));
    }
  }

  /** Creates a handshake of this server; it fails at once if there is no room. */
  private accepting(from: RequestOrigin, done?: Done): Accepting {
    const { room, admission, settings } = this;
    const { transport } = from;
    const withHttp = from.http !== undefined;
    const origin: RequestOrigin =
      room.counts || withHttp ? { ...from, enter: (request) => this.enter(accepting, request, withHttp) } : from;
    const accepting: Accepting = new Accepting(transport, admission, settings, origin, this.outcomes, done);
    const refusal = room.begin(accepting, room.counts ? transport.remoteAddress : undefined, withHttp);
    if (this.closing) accepting.fail(refusedForNow(serverError("SERVER_CLOSING")));
    else if (refusal !== undefined) accepting.fail(refusedForNow(refusal));
    return accepting;
  }

  /** The request is known, and is for this server. Throws a RefusedError if there is no room. */
  private enter(accepting: Accepting, request: HandshakeRequest, withHttp: boolean): void {
    if (this.closing) throw refusedForNow(serverError("SERVER_CLOSING"));
    this.room.enter(accepting, request.clientAddress, withHttp);
  }

  private failed(accepting: Accepting, error: WebSocketError): void {
    this.room.end(accepting);
    accepting.leave?.();
    if (error.code === "AUTHORIZE_FAILED" || error.code === "RESPONSE_FAILED") this.host.onError(error.cause);
    this.host.onRefused(error);
    accepting.done?.(undefined);
  }
}

/** Returns the pairs of node:http's flat list of names and values. */
function pairs(raw: readonly string[]): [string, string][] {
  const fields: [string, string][] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) fields.push([raw[at], raw[at + 1]]);
  return fields;
}
