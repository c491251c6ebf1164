import { EventEmitter } from "node:events";
import http, { type IncomingMessage, type Server, STATUS_CODES } from "node:http";
import type { AddressInfo } from "node:net";
import process from "node:process";
import type { Duplex } from "node:stream";
import { acceptValue } from "@tungstate/protocol";
import { mayConnect, sha1 } from "tungstate/internal";
import { PerMessageDeflate } from "../deflate/permessage-deflate.ts";
import { format } from "../handshake/extension.ts";
import type { WebSocket } from "../websocket.ts";
import { resolveOptions, type ServerOptions } from "./options.ts";
import { refuse, refuseClient } from "./refusal.ts";
import {
  acceptExtensions,
  type AcceptedExtensions,
  checkRequest,
  type Fault,
  offeredProtocols,
  originOf,
} from "./request.ts";

type Accepted = (websocket: WebSocket, request: IncomingMessage) => void;

const RUNNING = 0;
const CLOSING = 1;
const CLOSED = 2;

const SERVER = Symbol("the server of a WebSocket");
/**
 * Marks sockets of WebSockets: a second handshake on the same socket is an error of the program.
 */
const UPGRADED = Symbol("upgraded");

function destroyThis(this: Duplex): void {
  this.destroy();
}

/** A WebSocket server with the API of ws. */
export class WebSocketServer extends EventEmitter {
  options: ServerOptions;
  declare clients: Set<WebSocket> | undefined;
  /** Undefined in `noServer` mode, null after `close()` of another server. */
  _server: Server | null | undefined;
  _state = RUNNING;
  // underscores: subclasses have members of their own
  _removeListeners: (() => void) | undefined;
  _closesWithClients = false;

  constructor(options?: Partial<ServerOptions>, callback?: () => void) {
    super();
    this.options = resolveOptions(options);
    const { port, host, backlog, server } = this.options;
    if (port !== null && port !== undefined) {
      this._server = http.createServer(requireUpgrade);
      this._server.listen(port, host ?? undefined, backlog ?? undefined, callback);
    } else if (server) this._server = server;
    if (this._server) this._listenTo(this._server);
    if (this.options.clientTracking) this.clients = new Set();
  }

  _listenTo(server: Server): void {
    const accepted: Accepted = (websocket, request) => this.emit("connection", websocket, request);
    const listeners = {
      listening: () => this.emit("listening"),
      error: (error: Error) => this.emit("error", error),
      upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => {
        this.handleUpgrade(request, socket, head, accepted);
      },
    };
    for (const [event, listener] of Object.entries(listeners)) server.on(event, listener);
    this._removeListeners = () => {
      for (const [event, listener] of Object.entries(listeners)) server.removeListener(event, listener);
    };
  }

  /** Returns where the server listens. Throws in `noServer` mode. */
  address(): AddressInfo | string | null {
    if (this.options.noServer) throw new Error('The server is operating in "noServer" mode');
    return this._server ? this._server.address() : null;
  }

  /**
   * Stops accepting connections. Does not end existing ones. Emits `close` when they have ended.
   */
  close(callback?: (error?: Error) => void): void {
    if (this._state === CLOSED) {
      if (callback !== undefined) this.once("close", () => callback(new Error("The server is not running")));
      process.nextTick(emitClose, this);
      return;
    }
    if (callback !== undefined) this.once("close", callback);
    if (this._state === CLOSING) return;
    this._state = CLOSING;
    const { _server: server, clients } = this;
    this._removeListeners?.();
    this._removeListeners = undefined;
    if (this._server) this._server = null;
    if (!this.options.noServer && !this.options.server) server?.close(() => emitClose(this));
    else if (clients !== undefined && clients.size > 0) this._closesWithClients = true;
    else process.nextTick(emitClose, this);
  }

  /** Whether a request has the `path` of the options. */
  shouldHandle(request: IncomingMessage): boolean | Promise<boolean> {
    const { path } = this.options;
    if (!path) return true;
    const [pathname] = (request.url ?? "").split("?", 1);
    return pathname === path;
  }

  /**
   * Answers a handshake. Calls `callback` with the WebSocket, synchronously unless `verifyClient`
   * is asynchronous.
   */
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer, callback: Accepted): void {
    socket.on("error", destroyThis);
    const refuseFor = ({ status, message, headers }: Fault): void =>
      refuseClient(this, request, socket, status, message, headers);
    const key = checkRequest(request);
    if (typeof key !== "string") return refuseFor(key);
    if (!this.shouldHandle(request)) return refuse(socket, 400);
    const protocols = offeredProtocols(request);
    if (!(protocols instanceof Set)) return refuseFor(protocols);
    const { perMessageDeflate, maxPayload, verifyClient } = this.options;
    const extensions = acceptExtensions(request, perMessageDeflate, maxPayload);
    if (isFault(extensions)) return refuseFor(extensions);
    const complete = (): void => this.completeUpgrade(extensions, key, protocols, request, socket, head, callback);
    const { authorized, encrypted } = (request.socket ?? {}) as { authorized?: boolean; encrypted?: boolean };
    const { origin: policy } = this.options.tungstate ?? {};
    if (policy !== undefined) {
      const { host = "" } = request.headers;
      // only a literal true admits
      const isAdmitted = mayConnect(policy, { origin: originOf(request), host }, Boolean(encrypted));
      if (isAdmitted !== true) return refuse(socket, 403);
    }
    if (!verifyClient) return complete();
    const info = { origin: originOf(request), secure: Boolean(authorized || encrypted), req: request };
    if (verifyClient.length === 2) {
      this.options.verifyClient?.(info, (admitted, status, message, headers) => {
        if (admitted) complete();
        else refuse(socket, status || 401, message, headers);
      });
    } else if (this.options.verifyClient?.(info)) complete();
    else refuse(socket, 401);
  }

  /** Sends the response and opens the WebSocket. */
  completeUpgrade(
    extensions: AcceptedExtensions,
    key: string,
    protocols: Set<string>,
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    callback: Accepted,
  ): void {
    // the client has disconnected, or the program has ended the socket
    if (!socket.readable || !socket.writable) {
      socket.destroy();
      return;
    }
    if (Reflect.get(socket, UPGRADED) === true) {
      throw new Error(
        "server.handleUpgrade() was called more than once with the same socket, possibly due to a misconfiguration",
      );
    }
    if (this._state > RUNNING) return refuse(socket, 503);
    const { options } = this;
    const websocket = new options.WebSocket(null, undefined, options);
    const headers = [
      "HTTP/1.1 101 Switching Protocols",
      "Upgrade: websocket",
      "Connection: Upgrade",
      `Sec-WebSocket-Accept: ${acceptValue(key, sha1)}`,
    ];
    const protocol = this._chooseProtocol(protocols, request);
    if (protocol) {
      headers.push(`Sec-WebSocket-Protocol: ${protocol}`);
      websocket._protocol = protocol;
    }
    const deflate = extensions[PerMessageDeflate.extensionName];
    if (deflate !== undefined) {
      headers.push(`Sec-WebSocket-Extensions: ${format({ [PerMessageDeflate.extensionName]: deflate.params ?? {} })}`);
      websocket._extensions = extensions;
    }
    // listeners may change it
    this.emit("headers", headers, request);
    socket.removeListener("error", destroyThis);
    Reflect.set(socket, UPGRADED, true);
    websocket.setSocket(socket, head, {
      allowSynchronousEvents: options.allowSynchronousEvents,
      maxBufferedChunks: options.maxBufferedChunks,
      maxFragments: options.maxFragments,
      maxPayload: options.maxPayload,
      skipUTF8Validation: options.skipUTF8Validation,
      tungstate: options.tungstate,
      greeting: `${headers.join("\r\n")}\r\n\r\n`,
    });
    if (this.clients !== undefined) this._track(this.clients, websocket);
    callback(websocket, request);
  }

  _chooseProtocol(protocols: Set<string>, request: IncomingMessage): string | false | undefined {
    if (protocols.size === 0) return undefined;
    const { handleProtocols } = this.options;
    return handleProtocols ? this.options.handleProtocols?.(protocols, request) : [...protocols][0];
  }

  _track(clients: Set<WebSocket>, websocket: WebSocket): void {
    clients.add(websocket);
    Reflect.set(websocket, SERVER, this);
    websocket.on("close", forget);
  }

  /** A connection has ended. */
  _forget(websocket: WebSocket): void {
    this.clients?.delete(websocket);
    if (this._closesWithClients && this.clients?.size === 0) process.nextTick(emitClose, this);
  }
}

/** The listener of all connections. */
function forget(this: WebSocket): void {
  const server: unknown = Reflect.get(this, SERVER);
  if (server instanceof WebSocketServer) server._forget(this);
}

function isFault(value: AcceptedExtensions | Fault): value is Fault {
  return "status" in value;
}

/** Answers requests that are not handshakes, on a port of the server itself. */
function requireUpgrade(_request: IncomingMessage, response: http.ServerResponse): void {
  const body = STATUS_CODES[426] ?? "";
  response.writeHead(426, { "Content-Length": body.length, "Content-Type": "text/plain" });
  response.end(body);
}

function emitClose(server: WebSocketServer): void {
  server._state = CLOSED;
  server.emit("close");
}
