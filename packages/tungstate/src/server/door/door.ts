import type { UpgradeHead } from "@tungstate/protocol";
import { maxHeaderSize, Server as HttpServer } from "node:http";
import type { IncomingHttpHeaders, Http2Session, ServerHttp2Stream } from "node:http2";
import { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import {
  countHandle,
  type Interception,
  interceptAccepted,
  isFull,
  uncountHandle,
} from "../../native/accepted-handles.ts";
import { readsAhead } from "../../native/platform.ts";
import type { StreamHandle } from "../../native/system.ts";
import { RefusedError } from "../admission/refused.ts";
import { sayAndEnd } from "../say-and-end.ts";
import { type Arrival, type Give, HandleArrival, SocketArrival } from "./arrival.ts";
import type { Arrivals } from "./arrivals.ts";
import { type Destination, FirstRequest, type HandshakeTaker, type Place } from "./first-request.ts";
import { watchHead } from "./head-watch.ts";
import { connectionEvent, speaksHttp1, type WebServer } from "../http/web-server.ts";
import { Http2Streams } from "../http2/streams.ts";
import type { StreamTaker } from "../http2/opened-stream.ts";
import { isHttp2Server } from "../../native/http2-options.ts";
import { giveStream, markPassed, wasPassed } from "./passed.ts";
import { Securing } from "./securing.ts";

/** The WebSocketServers that are attached to an HTTP server. */
export interface DoorOwner {
  /**
   * The limits until the first request of a connection has been read. Undefined: all connections
   * are left to the HTTP server.
   */
  arrivals(): Arrivals | undefined;
  /** Returns the function that accepts this handshake; undefined if it is for the HTTP server. */
  takerOf(head: UpgradeHead): HandshakeTaker | undefined;
  /** Returns the function that takes handshakes over HTTP/2 on this path; undefined if none does. */
  streamTakerOf(target: string): StreamTaker | undefined;
  /** Streams that an HTTP/2 session may have. Default: as the server, or 1,000. */
  readonly maxConcurrentStreams: number | undefined;
}

/**
 * Intercepts the connections of an HTTP server before the server reads from them. The returned
 * function stops that. Connections whose first request has not been read are then passed to the
 * HTTP server.
 */
export function openDoor(server: WebServer, owner: DoorOwner): () => void {
  const door = new Door(server, owner);
  return () => door.close();
}

/**
 * Reads the first request of each connection of an HTTP server. The connections are accepted by the
 * server, or passed to it by other code (`server.emit("connection", socket)`).
 *
 * The handles of a plain server are intercepted if node:http is the only `connection` listener.
 * Otherwise the event `connection` or `secureConnection` is intercepted. Its listeners are called
 * when the first request has been read. For a WebSocket handshake, the listener of node:http is not
 * called.
 */
class Door {
  private readonly server: WebServer;
  private readonly owner: DoorOwner;
  private readonly requests = new Set<FirstRequest>();
  private readonly securing = new Securing(true);
  private readonly restore: (() => void)[] = [];
  /** Of a server of node:http2. */
  private readonly streams: Http2Streams | undefined;
  private readonly speaksHttp1: boolean;
  /** The place of a connection whose HTTP/2 session is about to begin. */
  private secured: Place | undefined;
  private interception: Interception | undefined;
  /** The socket of a handle that is being passed to the server. */
  private given: { socket: Socket | undefined } | undefined;
  private destination: (Destination & { readonly arrivals: Arrivals; readonly give: Give<StreamHandle> }) | undefined;

  constructor(server: WebServer, owner: DoorOwner) {
    this.server = server;
    this.owner = owner;
    this.streams = isHttp2Server(server) ? new Http2Streams(server, owner) : undefined;
    this.speaksHttp1 = speaksHttp1(server);
    const emit = methodOf(server, "emit");
    if (emit !== undefined) this.restore.push(replace(server, "emit", this.intercepting(emit)));
    const closeAllConnections = methodOf(server, "closeAllConnections");
    if (closeAllConnections !== undefined) {
      this.restore.push(
        replace(server, "closeAllConnections", () => {
          for (const each of this.requests) each.terminate();
          Reflect.apply(closeAllConnections, server, []);
        }),
      );
    }
    if (server.listening) this.intercept();
  }

  close(): void {
    for (const each of this.restore) each();
    this.interception?.release();
    this.streams?.close();
  }

  private intercepting(emit: Method): Method {
    const { server } = this;
    return (event, ...args) => {
      if (this.takes(event, args)) return true;
      try {
        return Boolean(Reflect.apply(emit, server, [event, ...args]));
      } finally {
        // the connection has not become a session
        if (event === "secureConnection") this.takeSecured()?.leave();
      }
    };
  }

  private takeSecured(): Place | undefined {
    const { secured } = this;
    this.secured = undefined;
    return secured;
  }

  private intercept(): void {
    const { server } = this;
    if (!(server instanceof HttpServer) || this.owner.arrivals()?.settings.transport !== "auto") return;
    this.interception = interceptAccepted(server, (handle) => this.takesHandle(handle));
  }

  /** Called for each event of the server. Returns true if its listeners must not be called now. */
  private takes(event: unknown, args: readonly unknown[]): boolean {
    const [subject] = args;
    if (event === "listening") this.intercept();
    if (this.streams !== undefined && (event === "session" || event === "stream")) {
      if (event === "stream") return this.streams.takes(...(args as StreamArguments));
      this.streams.begin(subject as Http2Session, this.takeSecured());
      return false;
    }
    if (event !== "connection" && event !== "secureConnection") return false;
    if (!(subject instanceof Socket) || !readsAhead(subject)) return false;
    if (this.given !== undefined && event === "connection") {
      markPassed(subject);
      return false;
    }
    if (wasPassed(subject)) return false;
    const arrivals = this.owner.arrivals();
    if (arrivals === undefined) return false;
    if (event !== connectionEvent(this.server)) {
      return event === "connection" && !this.securing.begin(subject, arrivals, true);
    }
    const secured = event === "secureConnection" ? this.securing.end(subject as TLSSocket) : undefined;
    if (!this.speaksHttp1 || isHttp2(subject)) {
      this.secured = secured;
      return false;
    }
    const arrival = new SocketArrival(subject, arrivals.settings, (socket, bytes, since) => {
      giveStream(this.server, socket, bytes);
      if (since !== undefined) watchHead(socket, since, arrivals);
    });
    this.open(arrival, arrivals, secured, subject);
    return true;
  }

  private takesHandle(handle: StreamHandle): boolean {
    const { server } = this;
    const arrivals = this.owner.arrivals();
    if (arrivals?.settings.transport !== "auto") return false;
    const resources = arrivals.settings.runtime.handles;
    if (resources === undefined) return false;
    // a `connection` listener of other code needs a socket; a full server drops the connection
    if (server.listenerCount("connection") > 1 || isFull(server) || !countHandle(server, handle)) return false;
    const { noDelay } = arrivals.settings;
    const arrival = new HandleArrival(handle, resources, noDelay, this.destinationFor(arrivals).give);
    this.open(arrival, arrivals, undefined, undefined);
    return true;
  }

  private give(handle: StreamHandle, bytes: Uint8Array, since: number | undefined, arrivals: Arrivals): void {
    uncountHandle(handle);
    const given: { socket: Socket | undefined } = { socket: undefined };
    this.given = given;
    // a closed door does not see events, so the socket is captured by a listener
    const capture = (socket: Socket): void => void (given.socket = socket);
    this.server.prependListener("connection", capture);
    try {
      this.interception?.pass(handle);
    } finally {
      this.given = undefined;
      this.server.off("connection", capture);
    }
    const { socket } = given; // undefined if the server has dropped the connection
    if (socket === undefined || socket.destroyed) return;
    if (bytes.length > 0) socket.unshift(bytes);
    if (since !== undefined) watchHead(socket, since, arrivals);
  }

  /** `socket`: the argument for the listeners of other code. */
  private open(arrival: Arrival, arrivals: Arrivals, secured: Place | undefined, socket: Socket | undefined): void {
    const address = arrivals.countsAddresses ? arrival.remoteAddress : undefined;
    const place = secured ?? arrivals.arrive(address, true);
    if (place instanceof RefusedError) {
      sayAndEnd(arrival.transport(), place.response, arrivals.settings.clock);
      return;
    }
    const destination = this.destinationFor(arrivals);
    const own = socket === undefined ? destination : { ...destination, takerOf: this.announcing(socket) };
    this.requests.add(new FirstRequest(arrival, place, own));
  }

  /** Returns a `takerOf` that calls the listeners of other code with the socket first. */
  private announcing(socket: Socket): Destination["takerOf"] {
    return (head) => {
      const taker = this.owner.takerOf(head);
      if (taker === undefined) return undefined;
      const { server } = this;
      const event = connectionEvent(server);
      const [own] = server.listeners(event);
      for (const listener of server.rawListeners(event)) {
        if (listener !== own) Reflect.apply(listener, server, [socket]);
      }
      return taker;
    };
  }

  private destinationFor(arrivals: Arrivals): NonNullable<Door["destination"]> {
    if (this.destination?.arrivals === arrivals) return this.destination;
    const { server, owner, requests } = this;
    const { clock, deadlines, runtime } = arrivals.settings;
    const headSize = Math.max(arrivals.headLimits?.maxHeadSize ?? 0, maxHeaderSizeOf(server));
    const destination: NonNullable<Door["destination"]> = {
      arrivals,
      give: (handle, bytes, since) => this.give(handle, bytes, since, arrivals),
      clock,
      deadlines,
      runtime,
      // the HTTP server has its own limits for its requests; those of a handshake are checked by
      // its taker
      limits: { maxHeadSize: headSize, maxHeaders: Infinity, maxParts: Infinity },
      get timeout() {
        const { headersTimeout = 0, requestTimeout = 0 } = server as Partial<HttpServer>;
        return Math.min(arrivals.timeout, headersTimeout || Infinity, requestTimeout || Infinity);
      },
      enforcesLimits: false,
      takerOf: (head) => owner.takerOf(head),
      onRefused: (error) => arrivals.onRefused(error),
      onEnd: (request) => void requests.delete(request),
    };
    this.destination = destination;
    return destination;
  }
}

/** The option of that name, which the server keeps in a property. */
function maxHeaderSizeOf(server: WebServer): number {
  const own: unknown = Reflect.get(server, "maxHeaderSize");
  return typeof own === "number" && own > 0 ? own : maxHeaderSize;
}

type Method = (...args: unknown[]) => unknown;

/** The arguments of a `stream` event. */
type StreamArguments = [
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  flags: number,
  rawHeaders: readonly string[],
];

/** Whether the client of a TLS socket has agreed on HTTP/2. */
function isHttp2(socket: Socket): boolean {
  return "alpnProtocol" in socket && socket.alpnProtocol === "h2";
}

function methodOf(server: WebServer, key: "emit" | "closeAllConnections"): Method | undefined {
  const method: unknown = Reflect.get(server, key);
  return typeof method === "function" ? (method as Method) : undefined;
}

/**
 * Sets a method of a server; returns a function that restores it, unless other code has set it
 * meanwhile.
 */
function replace(server: WebServer, key: "emit" | "closeAllConnections", value: unknown): () => void {
  const own = Object.getOwnPropertyDescriptor(server, key);
  Reflect.set(server, key, value);
  return () => {
    if (Reflect.get(server, key) !== value) return;
    if (own === undefined) Reflect.deleteProperty(server, key);
    else Object.defineProperty(server, key, own);
  };
}
