import { EventEmitter } from "node:events";
import type { ClientRequest } from "node:http";
import process from "node:process";
import type { Duplex } from "node:stream";
import { abortHandshake, type ClientOptions, connect, type ResolvedOptions } from "./client/connect.ts";
import {
  ABNORMAL,
  BINARY_TYPES,
  type BinaryType,
  type Callback,
  CLOSED,
  CLOSING,
  CONNECTING,
  describeState,
  EMPTY_BUFFER,
  OPEN,
} from "./constants.ts";
import { sizeOf } from "./data.ts";
import type { PerMessageDeflate } from "./deflate/permessage-deflate.ts";
import { Connection, type Endpoint, type SocketOptions } from "./endpoint/connection.ts";
import { ReceiverFacade, SenderFacade } from "./endpoint/facades.ts";
import type { SendOptions } from "./endpoint/message-writer.ts";
import {
  addEventListener,
  getAttribute,
  type Handler,
  removeEventListener,
  setAttribute,
} from "./events/event-target.ts";

const NO_EXTENSIONS: Record<string, PerMessageDeflate> = Object.freeze({});
const CLOSED_EARLY = "WebSocket was closed before the connection was established";

/** The options of a server that its sockets need. */
type ServerSideOptions = Pick<ResolvedOptions, "autoPong" | "closeTimeout" | "maxPendingAutoPongs">;

/** A WebSocket with the API of ws. */
export class WebSocket extends EventEmitter implements Endpoint {
  _binaryType: BinaryType = "nodebuffer";
  _closeCode: number = ABNORMAL;
  _closeFrameReceived = false;
  _closeFrameSent = false;
  _closeMessage: Buffer = EMPTY_BUFFER;
  _closeTimer: NodeJS.Timeout | null = null;
  _closeTimeout: number | undefined;
  _errorEmitted = false;
  _extensions: Record<string, PerMessageDeflate> = NO_EXTENSIONS;
  _paused = false;
  _protocol = "";
  _readyState: number = CONNECTING;
  _isServer: boolean;
  _autoPong: boolean;
  _maxPendingAutoPongs: number;
  /** Set after the handshake. Not a private member, because programs wrap WebSockets in proxies. */
  _connection: Connection | null = null;
  declare _facades: { readonly sender: SenderFacade; readonly receiver: ReceiverFacade } | undefined;
  // of clients
  declare _bufferedAmount: number;
  declare _redirects: number;
  declare _req: ClientRequest | null;
  declare _url: string;
  declare _originalIpc: boolean;
  declare _originalSecure: boolean;
  declare _originalHostOrSocketPath: string | undefined;

  constructor(
    address: string | URL | null,
    protocols?: string | readonly string[] | ClientOptions,
    options?: ClientOptions | ServerSideOptions,
  ) {
    super();
    let resolved: ServerSideOptions;
    if (address === null) {
      this._isServer = true;
      resolved = options as ServerSideOptions;
    } else {
      this._bufferedAmount = 0;
      this._isServer = false;
      this._redirects = 0;
      const [names, given] = argumentsOf(protocols, options);
      resolved = connect(this, address, names, given);
    }
    this._autoPong = Boolean(resolved.autoPong);
    this._maxPendingAutoPongs = resolved.maxPendingAutoPongs | 0;
    this._closeTimeout = resolved.closeTimeout;
  }

  get binaryType(): BinaryType {
    return this._binaryType;
  }

  set binaryType(type: BinaryType) {
    if (!BINARY_TYPES.includes(type)) return;
    this._binaryType = type;
    this._connection?.reader.setBinaryType(type);
  }

  get bufferedAmount(): number {
    return this._connection === null ? this._bufferedAmount : this._connection.bufferedAmount;
  }

  get extensions(): string {
    return Object.keys(this._extensions).join();
  }

  get isPaused(): boolean {
    return this._paused;
  }

  get protocol(): string {
    return this._protocol;
  }

  get readyState(): number {
    return this._readyState;
  }

  get url(): string {
    return this._url;
  }

  // undocumented members that programs use

  get _socket(): Duplex | null {
    if (this._connection === null) return null;
    const { channel } = this._connection;
    channel.flush();
    return channel.stream;
  }

  get _sender(): SenderFacade | null {
    return facadesOf(this)?.sender ?? null;
  }

  get _receiver(): ReceiverFacade | null {
    return facadesOf(this)?.receiver ?? null;
  }

  /** Opens the connection on a stream. */
  setSocket(socket: Duplex, head: Buffer, options: SocketOptions): void {
    const connection = new Connection(this, socket, head, this._extensions["permessage-deflate"], options);
    if (this._binaryType !== "nodebuffer") connection.reader.setBinaryType(this._binaryType);
    this._connection = connection;
    this._readyState = OPEN;
    this.emit("open");
  }

  /** Emits `close`. */
  emitClose(): void {
    this._readyState = CLOSED;
    this.emit("close", this._closeCode, this._closeMessage);
  }

  /** Starts the closing handshake. */
  close(code?: number, data?: string | Buffer): void {
    switch (this.readyState) {
      case CLOSED:
        return;
      case CONNECTING:
        abortHandshake(this, this._req, CLOSED_EARLY);
        return;
      case CLOSING:
        this._connection?.endIfClosed();
        return;
      default:
        this._connection?.close(code, data);
    }
  }

  /** Stops reading. */
  pause(): void {
    if (this.readyState === CONNECTING || this.readyState === CLOSED) return;
    this._paused = true;
    this._connection?.pause();
  }

  /** Reads again. */
  resume(): void {
    if (this.readyState === CONNECTING || this.readyState === CLOSED) return;
    this._paused = false;
    this._connection?.resume();
  }

  /** Sends a ping. */
  ping(data?: unknown, mask?: boolean | Callback, callback?: Callback): void {
    control(this, "ping", data, mask, callback);
  }

  /** Sends a pong. */
  pong(data?: unknown, mask?: boolean | Callback, callback?: Callback): void {
    control(this, "pong", data, mask, callback);
  }

  /** Sends a message, or a fragment of one. */
  send(data: unknown, options?: Partial<SendOptions> | Callback, callback?: Callback): void {
    checkOpened(this);
    let given: Partial<SendOptions> | undefined;
    let done = callback;
    if (typeof options === "function") done = options;
    else given = options;
    const payload = typeof data === "number" ? String(data) : data;
    const connection = this._connection;
    if (this.readyState !== OPEN || connection === null) {
      sendTooLate(this, payload, done);
      return;
    }
    const isCompressing = this._extensions !== NO_EXTENSIONS && "permessage-deflate" in this._extensions;
    const all = {
      binary: typeof payload !== "string",
      mask: !this._isServer,
      compress: true,
      fin: true,
      ...given,
    };
    if (!isCompressing) all.compress = false;
    connection.send(payload || EMPTY_BUFFER, all, done);
  }

  /** Destroys the connection. */
  terminate(): void {
    if (this.readyState === CLOSED) return;
    if (this.readyState === CONNECTING) {
      abortHandshake(this, this._req, CLOSED_EARLY);
      return;
    }
    if (this._connection === null) return;
    this._readyState = CLOSING;
    this._connection.channel.destroy();
  }

  /** Adds a listener that is called with an event object, as in browsers. */
  addEventListener(type: string, listener: Handler, options?: { readonly once?: boolean }): void {
    addEventListener(this, type, listener, options);
  }

  /** Removes a listener that `addEventListener` has added. */
  removeEventListener(type: string, listener: Handler): void {
    removeEventListener(this, type, listener);
  }
}

function facadesOf(ws: WebSocket): WebSocket["_facades"] {
  const { _connection: connection } = ws;
  if (connection === null) return undefined;
  return (ws._facades ??= { sender: new SenderFacade(connection), receiver: new ReceiverFacade(connection) });
}

function checkOpened({ readyState }: WebSocket): void {
  if (readyState === CONNECTING) throw new Error(`WebSocket is not open: readyState ${describeState(readyState)}`);
}

function control(
  ws: WebSocket,
  kind: "ping" | "pong",
  data: unknown,
  mask: boolean | Callback | undefined,
  callback: Callback | undefined,
): void {
  checkOpened(ws);
  let payload = data;
  let masked: boolean | undefined;
  let done = callback;
  if (typeof data === "function") {
    done = data as Callback;
    payload = undefined;
  } else if (typeof mask === "function") done = mask;
  else masked = mask;
  if (typeof payload === "number") payload = String(payload);
  const { _connection: connection } = ws;
  if (ws.readyState !== OPEN || connection === null) sendTooLate(ws, payload, done);
  else connection[kind](payload || EMPTY_BUFFER, masked ?? !ws._isServer, done);
}

/** Counts data that cannot be sent in this state, and calls back with an error. */
function sendTooLate(ws: WebSocket, data: unknown, callback: Callback | undefined): void {
  if (data) {
    const size = sizeOf(data);
    if (ws._connection === null) ws._bufferedAmount += size;
    else ws._connection.writer.heldSize += size;
  }
  if (typeof callback !== "function") return;
  ws._connection?.channel.flush(); // callbacks of earlier messages come first
  process.nextTick(callback, new Error(`WebSocket is not open: readyState ${describeState(ws.readyState)}`));
}

/** Returns the subprotocols and the options, for all forms of the arguments. */
function argumentsOf(
  protocols: string | readonly string[] | ClientOptions | undefined,
  options: ClientOptions | undefined,
): [readonly string[], ClientOptions | undefined] {
  const listed = (value: string | readonly string[] | undefined): readonly string[] =>
    value === undefined ? [] : [value].flat();
  if (protocols === undefined) return [listed(options?.protocols), options];
  if (typeof protocols === "object" && protocols !== null && !Array.isArray(protocols)) {
    const given = protocols as ClientOptions;
    return [listed(given.protocols), given];
  }
  return [listed(protocols as string | readonly string[]), options];
}

for (const [name, value] of Object.entries({ CONNECTING, OPEN, CLOSING, CLOSED })) {
  for (const target of [WebSocket, WebSocket.prototype]) {
    Object.defineProperty(target, name, { enumerable: true, value });
  }
}

const ATTRIBUTES = ["binaryType", "bufferedAmount", "extensions", "isPaused", "protocol", "readyState", "url"];
const TARGET_METHODS = ["addEventListener", "removeEventListener"];
for (const name of [...ATTRIBUTES, ...TARGET_METHODS])
  Object.defineProperty(WebSocket.prototype, name, { enumerable: true });

for (const type of ["open", "error", "close", "message"] as const) {
  Object.defineProperty(WebSocket.prototype, `on${type}`, {
    enumerable: true,
    configurable: true,
    get(this: WebSocket) {
      return getAttribute(this, type);
    },
    set(this: WebSocket, handler: unknown) {
      setAttribute(this, type, handler);
    },
  });
}
