import type { IncomingMessage, Server as HttpServer, ServerResponse } from "node:http";
import { Server as HttpsServer } from "node:https";
import type { Socket } from "node:net";

const TICK = 5; // ms of a tick that requests may take before the others wait for the next one
const LINES = 64; // of a slice: a request has at least two
const LF = 0x0a;

/** A connection whose bytes are given to node:http in slices. What waits is in the buffer of its socket, which is paused then. */
interface Line {
  readonly socket: Socket;
  readonly onData: (chunk: Buffer) => void;
  readonly onEnd: () => void;
  /** node:http's own listeners for these two events. */
  readonly giveData: Listener;
  readonly giveEnd: Listener;
  /** Its listener for `drain`: once that is off, node:http has let go of the socket. */
  readonly sign: Listener;
  /** Requests without a whole response. */
  open: number;
  last: IncomingMessage | undefined;
  isQueued: boolean;
  /** By us, because of what waits. */
  isPaused: boolean;
  /** Nothing more comes, and node:http has not been told. */
  hasEnded: boolean;
}

type Listener = (...args: unknown[]) => void;

/**
 * Lets pipelined requests take turns. node:http parses all requests of a chunk of up to 64 KiB at once, and there may be 2,000 of them. Here each
 * connection gives it a few at a time: when the ones before have their responses, and while the tick has time for them. Until then its socket is paused.
 *
 * It takes the place of node:http's listener for the `data` of a socket. Where there is none, the connection stays as it is.
 */
export function paceRequests(server: HttpServer | HttpsServer): void {
  new Pacing(server);
}

class Pacing {
  private readonly lines = new WeakMap<Socket, Line>();
  private queue: Line[] = [];
  private tickStart: number | undefined;
  private isScheduled = false;

  constructor(server: HttpServer | HttpsServer) {
    const opened = server instanceof HttpsServer ? "secureConnection" : "connection";
    server.on(opened, (socket: Socket) => this.open(socket));
    server.prependListener("request", (request, response) => this.count(request, response));
  }

  private open(socket: Socket): void {
    // the stream has listeners of its own, which came first
    const [giveData, giveEnd, sign] = ["data", "end", "drain"].map((event) => socket.listeners(event).at(-1));
    if (giveData === undefined || giveEnd === undefined || sign === undefined) return;
    const line: Line = {
      socket,
      onData: (chunk) => this.receive(line, chunk),
      onEnd: () => {
        line.hasEnded = true;
        this.end(line);
      },
      giveData: giveData as Listener,
      giveEnd: giveEnd as Listener,
      sign: sign as Listener,
      open: 0,
      last: undefined,
      isQueued: false,
      isPaused: false,
      hasEnded: false,
    };
    this.lines.set(socket, line);
    // node:http reads past the stream until somebody else listens
    socket.on("data", line.onData).on("end", line.onEnd);
    socket.off("data", line.giveData).off("end", line.giveEnd);
  }

  private count(request: IncomingMessage, response: ServerResponse): void {
    const line = this.lines.get(request.socket);
    if (line === undefined) return;
    line.open++;
    line.last = request;
    response.once("close", () => {
      line.open--;
      if (line.isPaused) this.enqueue(line);
      this.end(line);
    });
  }

  private receive(line: Line, chunk: Buffer): void {
    const { socket } = line;
    const end = isBlocked(line) || line.isQueued || !this.hasTime() ? 0 : sliceEnd(chunk);
    if (end < chunk.length) {
      line.isPaused = true;
      socket.pause();
      socket.unshift(chunk.subarray(end));
      this.enqueue(line);
    }
    if (end === 0) return;
    // whoever takes the socket behind an upgrade must not find a listener for data
    socket.off("data", line.onData);
    Reflect.apply(line.giveData, socket, [chunk.subarray(0, end)]);
    if (socket.listeners("drain").some((each) => each === line.sign)) {
      socket.on("data", line.onData);
      return;
    }
    socket.off("end", line.onEnd);
    this.lines.delete(socket);
  }

  /** The end of the client's side comes behind the responses: node:http ends its own side then, whatever it has not sent. */
  private end(line: Line): void {
    if (!line.hasEnded || isBlocked(line)) return;
    line.hasEnded = false;
    Reflect.apply(line.giveEnd, line.socket, []);
  }

  private enqueue(line: Line): void {
    if (line.isQueued || isBlocked(line)) return;
    line.isQueued = true;
    this.queue.push(line);
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
    for (let line = queue[next]; line !== undefined && this.hasTime(); line = queue[++next]) {
      line.isQueued = false;
      const { socket } = line;
      if (socket.destroyed || !this.lines.has(socket)) continue;
      if (socket.readableLength > 0) socket.read(); // calls `receive`, which may enqueue it again
      if (line.isQueued || socket.readableLength > 0) continue;
      line.isPaused = false;
      socket.resume();
    }
    this.queue = queue.slice(next);
    if (this.queue.length > 0) this.schedule();
  }
}

/**
 * Whether requests that it has given have no responses yet. The body of a single one goes on. (Where another one is ahead of it node:http may have
 * paused the socket until that is sent, and takes no data then.)
 */
function isBlocked({ open, last }: Line): boolean {
  return open > 1 || (open === 1 && last?.complete === true);
}

/** Where the slice at the beginning of `bytes` ends: behind so many lines. A handshake is not cut off from what is behind it. */
function sliceEnd(bytes: Buffer): number {
  let end = 0;
  for (let count = 0; count < LINES; count++) {
    const found = bytes.indexOf(LF, end);
    if (found < 0) return bytes.length;
    end = found + 1;
  }
  return isHandshake(bytes) ? bytes.length : end;
}

/** node:http stops behind a handshake, and gives the rest to whoever takes the socket. */
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
