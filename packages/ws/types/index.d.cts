/// <reference types="node" />

import type {
  ClientRequest,
  ClientRequestArgs,
  IncomingMessage,
  OutgoingHttpHeaders,
  Server as HttpServer,
} from "node:http";
import type { RequestOptions, Server as HttpsServer } from "node:https";
import type { AddressInfo as NetAddressInfo } from "node:net";
import type { Duplex, DuplexOptions, Writable } from "node:stream";
import type { ZlibOptions } from "node:zlib";
import events = require("node:events");
import stream = require("node:stream");

/** What `send` takes. */
type Sendable =
  | string
  | number
  | ArrayBufferView
  | ArrayBuffer
  | SharedArrayBuffer
  | Blob
  | readonly any[]
  | { valueOf(): ArrayBuffer | SharedArrayBuffer | Uint8Array | readonly number[] | string }
  | { [Symbol.toPrimitive](hint: string): string };

type Callback = (error?: Error) => void;

/** A WebSocket, of a client or of a server. */
declare class WebSocket extends events.EventEmitter {
  static readonly CONNECTING: 0;
  static readonly OPEN: 1;
  static readonly CLOSING: 2;
  static readonly CLOSED: 3;

  /** In which form binary messages arrive. */
  binaryType: "nodebuffer" | "arraybuffer" | "fragments" | "blob";
  /** Bytes that wait to be sent. */
  readonly bufferedAmount: number;
  /** Names of the negotiated extensions. */
  readonly extensions: string;
  /** Whether `pause()` was called. */
  readonly isPaused: boolean;
  /** The negotiated subprotocol. */
  readonly protocol: string;
  /** State of the connection. */
  readonly readyState: 0 | 1 | 2 | 3;
  /** The URL that the client connects to. */
  readonly url: string;

  readonly CONNECTING: 0;
  readonly OPEN: 1;
  readonly CLOSING: 2;
  readonly CLOSED: 3;

  onopen: ((event: WebSocket.Event) => void) | null;
  onerror: ((event: WebSocket.ErrorEvent) => void) | null;
  onclose: ((event: WebSocket.CloseEvent) => void) | null;
  onmessage: ((event: WebSocket.MessageEvent) => void) | null;

  constructor(address: null);
  constructor(address: string | URL, options?: WebSocket.ClientOptions | ClientRequestArgs);
  constructor(
    address: string | URL,
    protocols?: string | string[],
    options?: WebSocket.ClientOptions | ClientRequestArgs,
  );

  /** Starts the closing handshake. */
  close(code?: number, data?: string | Buffer): void;
  /** Sends a ping. */
  ping(data?: any, mask?: boolean, cb?: (error: Error) => void): void;
  /** Sends a pong. */
  pong(data?: any, mask?: boolean, cb?: (error: Error) => void): void;
  /** Sends a message, or a fragment of one. */
  send(data: Sendable, cb?: Callback): void;
  send(data: Sendable, options: WebSocket.SendOptions, cb?: Callback): void;
  /** Destroys the connection. */
  terminate(): void;
  /** Stops reading. Events of data that was read may still follow. */
  pause(): void;
  /** Reads again. */
  resume(): void;

  addEventListener<K extends keyof WebSocket.WebSocketEventMap>(
    type: K,
    listener:
      ((event: WebSocket.WebSocketEventMap[K]) => void) | { handleEvent(event: WebSocket.WebSocketEventMap[K]): void },
    options?: WebSocket.EventListenerOptions,
  ): void;
  removeEventListener<K extends keyof WebSocket.WebSocketEventMap>(
    type: K,
    listener:
      ((event: WebSocket.WebSocketEventMap[K]) => void) | { handleEvent(event: WebSocket.WebSocketEventMap[K]): void },
  ): void;

  on<E extends keyof WebSocket.Events>(
    event: E,
    listener: (this: WebSocket, ...args: WebSocket.Events[E]) => void,
  ): this;
  on(event: string | symbol, listener: (this: WebSocket, ...args: any[]) => void): this;
  once<E extends keyof WebSocket.Events>(
    event: E,
    listener: (this: WebSocket, ...args: WebSocket.Events[E]) => void,
  ): this;
  once(event: string | symbol, listener: (this: WebSocket, ...args: any[]) => void): this;
  off<E extends keyof WebSocket.Events>(
    event: E,
    listener: (this: WebSocket, ...args: WebSocket.Events[E]) => void,
  ): this;
  off(event: string | symbol, listener: (this: WebSocket, ...args: any[]) => void): this;
  addListener<E extends keyof WebSocket.Events>(
    event: E,
    listener: (this: WebSocket, ...args: WebSocket.Events[E]) => void,
  ): this;
  addListener(event: string | symbol, listener: (this: WebSocket, ...args: any[]) => void): this;
  removeListener<E extends keyof WebSocket.Events>(
    event: E,
    listener: (this: WebSocket, ...args: WebSocket.Events[E]) => void,
  ): this;
  removeListener(event: string | symbol, listener: (this: WebSocket, ...args: any[]) => void): this;
  prependListener<E extends keyof WebSocket.Events>(
    event: E,
    listener: (this: WebSocket, ...args: WebSocket.Events[E]) => void,
  ): this;
  prependListener(event: string | symbol, listener: (this: WebSocket, ...args: any[]) => void): this;
  prependOnceListener<E extends keyof WebSocket.Events>(
    event: E,
    listener: (this: WebSocket, ...args: WebSocket.Events[E]) => void,
  ): this;
  prependOnceListener(event: string | symbol, listener: (this: WebSocket, ...args: any[]) => void): this;
}

declare const WebSocketClass: typeof WebSocket;
interface WebSocketInstance extends WebSocket {}

declare namespace WebSocket {
  /** What `message` is emitted with. */
  type RawData = Buffer | ArrayBuffer | Buffer[];
  /** What `onmessage` is given. */
  type Data = string | Buffer | ArrayBuffer | Buffer[];
  type CertMeta = string | string[] | Buffer | Buffer[];

  /** The arguments of each event. */
  interface Events {
    close: [code: number, reason: Buffer];
    error: [error: Error];
    upgrade: [response: IncomingMessage];
    message: [data: RawData, isBinary: boolean];
    open: [];
    ping: [data: Buffer];
    pong: [data: Buffer];
    redirect: [url: string, request: ClientRequest];
    "unexpected-response": [request: ClientRequest, response: IncomingMessage];
  }

  interface SendOptions {
    mask?: boolean | undefined;
    binary?: boolean | undefined;
    compress?: boolean | undefined;
    fin?: boolean | undefined;
  }

  type VerifyClientCallbackSync<Request extends IncomingMessage = IncomingMessage> = (info: {
    origin: string;
    secure: boolean;
    req: Request;
  }) => boolean;
  type VerifyClientCallbackAsync<Request extends IncomingMessage = IncomingMessage> = (
    info: { origin: string; secure: boolean; req: Request },
    callback: (res: boolean, code?: number, message?: string, headers?: OutgoingHttpHeaders) => void,
  ) => void;
  type FinishRequestCallback = (request: ClientRequest, websocket: WebSocket) => void;

  /** Options that clients and servers have in common. */
  interface CommonOptions {
    allowSynchronousEvents?: boolean | undefined;
    autoPong?: boolean | undefined;
    closeTimeout?: number | undefined;
    maxBufferedChunks?: number | undefined;
    maxFragments?: number | undefined;
    maxPayload?: number | undefined;
    maxPendingAutoPongs?: number | undefined;
    perMessageDeflate?: boolean | PerMessageDeflateOptions | undefined;
    skipUTF8Validation?: boolean | undefined;
    /** Policies of Tungstate's core that ws does not have. Each is off unless it is given. */
    tungstate?: TungstatePolicies | undefined;
  }

  interface TungstatePolicies {
    /** Pings a silent peer after `interval` ms, and destroys the connection after `timeout` ms more. */
    heartbeat?: { interval: number; timeout: number } | undefined;
    /** Most bytes that may wait to be sent to a peer. A connection that exceeds it is destroyed. */
    maxWriteBufferSize?: number | undefined;
    /** Servers: web pages that may connect. A function admits with `true`. */
    origin?: "same" | "any" | readonly string[] | ((origin: string, host: string) => boolean) | undefined;
  }

  interface ClientOptions
    extends CommonOptions, Omit<RequestOptions, "headers" | "checkServerIdentity" | "createConnection"> {
    headers?: { [key: string]: string } | undefined;
    checkServerIdentity?(servername: string, cert: CertMeta): boolean;
    createConnection?: ((...args: any[]) => any) | undefined;
    finishRequest?: FinishRequestCallback | undefined;
    followRedirects?: boolean | undefined;
    generateMask?(mask: Buffer): void;
    handshakeTimeout?: number | undefined;
    maxRedirects?: number | undefined;
    origin?: string | undefined;
    protocolVersion?: number | undefined;
  }

  interface PerMessageDeflateOptions {
    serverNoContextTakeover?: boolean | undefined;
    clientNoContextTakeover?: boolean | undefined;
    serverMaxWindowBits?: number | undefined;
    clientMaxWindowBits?: number | undefined;
    zlibDeflateOptions?: ZlibOptions | undefined;
    zlibInflateOptions?: ZlibOptions | undefined;
    threshold?: number | undefined;
    concurrencyLimit?: number | undefined;
  }

  interface Event {
    type: string;
    target: WebSocket;
  }
  interface ErrorEvent extends Event {
    error: any;
    message: string;
  }
  interface CloseEvent extends Event {
    wasClean: boolean;
    code: number;
    reason: string;
  }
  interface MessageEvent extends Event {
    data: Data;
  }
  interface WebSocketEventMap {
    open: Event;
    error: ErrorEvent;
    close: CloseEvent;
    message: MessageEvent;
  }
  interface EventListenerOptions {
    once?: boolean | undefined;
  }

  interface ServerOptions<
    U extends typeof WebSocketClass = typeof WebSocketClass,
    V extends typeof IncomingMessage = typeof IncomingMessage,
  > extends CommonOptions {
    backlog?: number | undefined;
    clientTracking?: boolean | undefined;
    handleProtocols?: (protocols: Set<string>, request: InstanceType<V>) => string | false;
    host?: string | undefined;
    noServer?: boolean | undefined;
    path?: string | undefined;
    port?: number | undefined;
    server?: HttpServer<V> | HttpsServer<V> | undefined;
    verifyClient?: VerifyClientCallbackAsync<InstanceType<V>> | VerifyClientCallbackSync<InstanceType<V>> | undefined;
    WebSocket?: U | undefined;
  }

  interface AddressInfo extends NetAddressInfo {}

  /** The arguments of each event of a server. */
  interface ServerEvents<Socket, Request> {
    connection: [websocket: Socket, request: Request];
    error: [error: Error];
    headers: [headers: string[], request: Request];
    close: [];
    listening: [];
    wsClientError: [error: Error, socket: Duplex, request: Request];
  }

  /** A WebSocket server. */
  class Server<
    T extends typeof WebSocketClass = typeof WebSocketClass,
    U extends typeof IncomingMessage = typeof IncomingMessage,
  >
    extends events.EventEmitter
  {
    options: ServerOptions<T, U>;
    path: string;
    clients: Set<InstanceType<T>>;

    constructor(options?: ServerOptions<T, U>, callback?: () => void);

    /** Where the server listens. */
    address(): AddressInfo | string | null;
    /** Accepts no more connections. It does not end those that there are. */
    close(cb?: (error?: Error) => void): void;
    /** Answers a handshake. */
    handleUpgrade(
      request: InstanceType<U>,
      socket: Duplex,
      upgradeHead: Buffer,
      callback: (client: InstanceType<T>, request: InstanceType<U>) => void,
    ): void;
    /** Whether this server is meant by a request. */
    shouldHandle(request: InstanceType<U>): boolean | Promise<boolean>;

    on<E extends keyof ServerEvents<never, never>>(
      event: E,
      listener: (this: Server<T, U>, ...args: ServerEvents<InstanceType<T>, InstanceType<U>>[E]) => void,
    ): this;
    on(event: string | symbol, listener: (this: Server<T, U>, ...args: any[]) => void): this;
    once<E extends keyof ServerEvents<never, never>>(
      event: E,
      listener: (this: Server<T, U>, ...args: ServerEvents<InstanceType<T>, InstanceType<U>>[E]) => void,
    ): this;
    once(event: string | symbol, listener: (this: Server<T, U>, ...args: any[]) => void): this;
    off<E extends keyof ServerEvents<never, never>>(
      event: E,
      listener: (this: Server<T, U>, ...args: ServerEvents<InstanceType<T>, InstanceType<U>>[E]) => void,
    ): this;
    off(event: string | symbol, listener: (this: Server<T, U>, ...args: any[]) => void): this;
    addListener<E extends keyof ServerEvents<never, never>>(
      event: E,
      listener: (this: Server<T, U>, ...args: ServerEvents<InstanceType<T>, InstanceType<U>>[E]) => void,
    ): this;
    addListener(event: string | symbol, listener: (this: Server<T, U>, ...args: any[]) => void): this;
    removeListener<E extends keyof ServerEvents<never, never>>(
      event: E,
      listener: (this: Server<T, U>, ...args: ServerEvents<InstanceType<T>, InstanceType<U>>[E]) => void,
    ): this;
    removeListener(event: string | symbol, listener: (this: Server<T, U>, ...args: any[]) => void): this;
    prependListener<E extends keyof ServerEvents<never, never>>(
      event: E,
      listener: (this: Server<T, U>, ...args: ServerEvents<InstanceType<T>, InstanceType<U>>[E]) => void,
    ): this;
    prependListener(event: string | symbol, listener: (this: Server<T, U>, ...args: any[]) => void): this;
    prependOnceListener<E extends keyof ServerEvents<never, never>>(
      event: E,
      listener: (this: Server<T, U>, ...args: ServerEvents<InstanceType<T>, InstanceType<U>>[E]) => void,
    ): this;
    prependOnceListener(event: string | symbol, listener: (this: Server<T, U>, ...args: any[]) => void): this;
  }

  const WebSocketServer: typeof Server;
  interface WebSocketServer extends Server {}
  const WebSocket: typeof WebSocketClass;
  interface WebSocket extends WebSocketInstance {}

  /** Returns a stream of the messages of a WebSocket. */
  function createWebSocketStream(websocket: WebSocket, options?: DuplexOptions): Duplex;

  /** The field `Sec-WebSocket-Extensions`. */
  const extension: {
    parse(header: string): Record<string, Record<string, (string | true)[]>[]>;
    format(extensions: Record<string, object | object[]>): string;
  };
  /** The field `Sec-WebSocket-Protocol`. */
  const subprotocol: { parse(header: string): Set<string> };

  /** permessage-deflate. */
  class PerMessageDeflate {
    static readonly extensionName: string;
    params: Record<string, string | number | boolean> | null;
    constructor(options?: PerMessageDeflateOptions & { isServer?: boolean; maxPayload?: number });
    offer(): Record<string, string | number | boolean>;
    accept(configurations: readonly object[]): Record<string, string | number | boolean>;
    compress(data: Buffer | string, fin: boolean, callback: (error: Error | null, data?: Buffer) => void): void;
    decompress(data: Buffer, fin: boolean, callback: (error: Error | null, data?: Buffer) => void): void;
    cleanup(): void;
  }

  interface ReceiverOptions {
    allowSynchronousEvents?: boolean;
    binaryType?: "nodebuffer" | "arraybuffer" | "fragments" | "blob";
    extensions?: Record<string, PerMessageDeflate>;
    isServer?: boolean;
    maxBufferedChunks?: number;
    maxFragments?: number;
    maxPayload?: number;
    skipUTF8Validation?: boolean;
  }
  /** Parses frames that are written to it. */
  class Receiver extends stream.Writable {
    constructor(options?: ReceiverOptions);
  }

  interface FrameOptions {
    opcode: number;
    fin?: boolean;
    rsv1?: boolean;
    mask?: boolean;
    readOnly?: boolean;
    generateMask?: (mask: Buffer) => void;
    maskBuffer?: Buffer;
  }
  /** Encodes frames and writes them to a stream. */
  class Sender {
    static frame(data: string | Uint8Array, options: FrameOptions): Buffer[];
    onerror: (error: Error) => void;
    constructor(
      socket: Duplex | Writable,
      extensions?: Record<string, PerMessageDeflate>,
      generateMask?: (mask: Buffer) => void,
    );
    close(code?: number, data?: string | Buffer, mask?: boolean, cb?: Callback): void;
    ping(data: any, mask?: boolean, cb?: Callback): void;
    pong(data: any, mask?: boolean, cb?: Callback): void;
    send(data: any, options: SendOptions, cb?: Callback): void;
    sendFrame(list: readonly Uint8Array[], cb?: Callback): void;
  }
}

export = WebSocket;
