import type { IncomingMessage, Server as HttpServer, ServerResponse } from "node:http";
import { Server as HttpsServer } from "node:https";
import type { Socket } from "node:net";
import { Duplex } from "node:stream";

const TICK = 5; // ms of requests for each event-loop tick
const MAX_LINES = 64; // lines in a slice; a request has at least two
const PIECE = 8 * 1024; // bytes that are taken from the buffer of a paused socket at a time
const LF = 0x0a;

/**
 * A connection whose bytes are passed to node:http in slices. While bytes wait, its socket is
 * paused and buffers them.
 */
interface PacedConnection {
  readonly socket: Socket;
  readonly onData: (chunk: Buffer) => void;
  readonly onEnd: () => void;
  /** node:http's own listeners for `data` and `end`. */
  readonly forwardData: Listener;
  readonly forwardEnd: Listener;
  /** node:http's listener for `drain`. It is removed when node:http releases the socket. */
  readonly drainListener: Listener;
  /** Requests without a complete response. */
  openRequests: number;
  last: IncomingMessage | undefined;
  isQueued: boolean;
  /** Whether the socket was paused here because bytes wait. */
  isPaused: boolean;
  /** The client has ended its side, and node:http has not been notified. */
  hasEnded: boolean;
}

type Listener = (...args: unknown[]) => void;

/**
 * Processes pipelined requests in slices. node:http parses all requests of a chunk of up to 64 KiB
 * at once, which can be 2,000 requests. With this function each connection passes a few requests at
 * a time: after the previous ones have their responses, and within the time limit of the tick.
 * Until then the socket is paused.
 *
 * Replaces node:http's `data` listener. Connections without that listener are not changed.
 */
export function paceRequests(server: HttpServer | HttpsServer): void {
  new Pacing(server);
}

class Pacing {
  private readonly connections = new WeakMap<Socket, PacedConnection>();
  private queue: PacedConnection[] = [];
  private tickStart: number | undefined;
  private isScheduled = false;

  constructor(server: HttpServer | HttpsServer) {
    const opened = server instanceof HttpsServer ? "secureConnection" : "connection";
    server.on(opened, (socket: Socket) => this.open(socket));
    server.prependListener("request", (request, response) => this.count(request, response));
  }

  private open(socket: Socket): void {
    // listeners of node:http are the last: those of the stream were added first
    const [forwardData, forwardEnd, drainListener] = ["data", "end", "drain"].map((event) =>
      socket.listeners(event).at(-1),
    );
    if (forwardData === undefined || forwardEnd === undefined || drainListener === undefined) return;
    const connection: PacedConnection = {
      socket,
      onData: (chunk) => this.receive(connection, chunk),
      onEnd: () => {
        connection.hasEnded = true;
        this.end(connection);
      },
      forwardData: forwardData as Listener,
      forwardEnd: forwardEnd as Listener,
      drainListener: drainListener as Listener,
      openRequests: 0,
      last: undefined,
      isQueued: false,
      isPaused: false,
      hasEnded: false,
    };
    this.connections.set(socket, connection);
    // node:http bypasses the stream until another listener is added
    socket.on("data", connection.onData).on("end", connection.onEnd);
    socket.off("data", connection.forwardData).off("end", connection.forwardEnd);
  }

  private count(request: IncomingMessage, response: ServerResponse): void {
    const connection = this.connections.get(request.socket);
    if (connection === undefined) return;
    connection.openRequests++;
    connection.last = request;
    response.once("close", () => {
      connection.openRequests--;
      if (connection.isPaused) this.enqueue(connection);
      this.end(connection);
    });
  }

  private receive(connection: PacedConnection, chunk: Buffer): void {
    const { socket } = connection;
    const end = isBlocked(connection) || connection.isQueued || !this.hasTime() ? 0 : sliceEnd(chunk);
    if (end < chunk.length) {
      connection.isPaused = true;
      socket.pause();
      socket.unshift(chunk.subarray(end));
      this.enqueue(connection);
    }
    if (end === 0) return;
    // the handler of an upgrade must not find a `data` listener
    socket.off("data", connection.onData);
    Reflect.apply(connection.forwardData, socket, [chunk.subarray(0, end)]);
    if (socket.listeners("drain").some((each) => each === connection.drainListener)) {
      socket.on("data", connection.onData);
      return;
    }
    socket.off("end", connection.onEnd);
    this.connections.delete(socket);
  }

  /**
   * Notifies node:http of the client's end after all responses. Otherwise it would end its own side
   * before they are sent.
   */
  private end(connection: PacedConnection): void {
    if (!connection.hasEnded || isBlocked(connection)) return;
    connection.hasEnded = false;
    Reflect.apply(connection.forwardEnd, connection.socket, []);
  }

  private enqueue(connection: PacedConnection): void {
    if (connection.isQueued || isBlocked(connection)) return;
    connection.isQueued = true;
    this.queue.push(connection);
    this.schedule();
  }

  private hasTime(): boolean {
    const now = performance.now();
    if (this.tickStart === undefined) {
      this.tickStart = now;
      this.schedule();
    }
    return now - this.tickStart < TICK;
  }

  private schedule(): void {
    if (this.isScheduled) return;
    this.isScheduled = true;
    setImmediate(() => this.nextTick());
  }

  private nextTick(): void {
    this.isScheduled = false;
    this.tickStart = undefined;
    const { queue } = this;
    let next = 0;
    for (let connection = queue[next]; connection !== undefined && this.hasTime(); connection = queue[++next]) {
      connection.isQueued = false;
      const { socket } = connection;
      if (socket.destroyed || !this.connections.has(socket)) continue;
      // calls `receive`, which may enqueue it again
      if (socket.readableLength > 0) readPiece(socket);
      if (connection.isQueued) continue;
      if (socket.readableLength > 0) {
        this.enqueue(connection); // or, while responses are missing, by the last of these
        continue;
      }
      connection.isPaused = false;
      socket.resume();
    }
    this.queue = queue.slice(next);
    if (this.queue.length > 0) this.schedule();
  }
}

/**
 * Emits a part of what a paused socket has buffered, so that the socket receives no more while
 * enough is left. Each `read` of net.Socket makes the socket receive more, so an unread body would
 * be buffered completely.
 */
function readPiece(socket: Socket): void {
  Duplex.prototype.read.call(socket, Math.min(socket.readableLength, PIECE));
}

/**
 * Returns whether requests passed to node:http have no response yet. The body of a single request
 * may continue. If another request is ahead of it, node:http may have paused the socket and accepts
 * no data.
 */
function isBlocked({ openRequests, last }: PacedConnection): boolean {
  return openRequests > 1 || (openRequests === 1 && last?.complete === true);
}

/**
 * Returns the end of the first slice of `bytes`, in lines. A handshake is not separated from the
 * bytes after it.
 */
function sliceEnd(bytes: Buffer): number {
  let end = 0;
  for (let count = 0; count < MAX_LINES; count++) {
    const found = bytes.indexOf(LF, end);
    if (found < 0) return bytes.length;
    end = found + 1;
  }
  return isHandshake(bytes) ? bytes.length : end;
}

/**
 * node:http stops parsing after a handshake and passes the remaining bytes to the upgrade handler.
 */
function isHandshake(bytes: Buffer): boolean {
  if (!bytes.subarray(0, 4).equals(GET)) return false;
  const end = bytes.indexOf("\r\n\r\n");
  if (end < 0) return false;
  const head = bytes.toString("latin1", 0, end);
  return (
    /^upgrade:[ \t]*websocket[ \t]*$/im.test(head) &&
    /^connection:.*\bupgrade\b/im.test(head) &&
    !/^(content-length|transfer-encoding):/im.test(head)
  );
}

const GET = Buffer.from("GET ");
