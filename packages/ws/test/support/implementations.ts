// The implementations that each test of this folder runs on. ws is the reference: a test that ws
// does not pass is wrong.
import { createRequire } from "node:module";
// loaded before `require` needs them: Node.js 20 rejects `require` of a module that an import is loading,
// and other test files of the process may import these
import "@tungstate/protocol";
import "@tungstate/protocol/internal";
import "tungstate/internal";
import { suite, test as nodeTest, type TestContext } from "node:test";
import type { EventEmitter } from "node:events";
import type { Duplex, DuplexOptions, Writable } from "node:stream";

export type Options = Readonly<Record<string, unknown>>;
export type Callback = (error?: Error | null) => void;

/** A WebSocket with the members that ws documents, and those that programs use beyond them. */
export interface Socket extends EventEmitter {
  binaryType: string;
  readonly bufferedAmount: number;
  readonly extensions: string;
  readonly isPaused: boolean;
  readonly protocol: string;
  readonly readyState: number;
  readonly url: string;
  readonly CONNECTING: 0;
  readonly OPEN: 1;
  readonly CLOSING: 2;
  readonly CLOSED: 3;
  onopen: unknown;
  onmessage: unknown;
  onclose: unknown;
  onerror: unknown;
  close(code?: number, reason?: string | Uint8Array): void;
  terminate(): void;
  pause(): void;
  resume(): void;
  send(data: unknown, callback?: Callback): void;
  send(data: unknown, options: Options, callback?: Callback): void;
  ping(...args: unknown[]): void;
  pong(...args: unknown[]): void;
  addEventListener(type: string, listener: unknown, options?: Options): void;
  removeEventListener(type: string, listener: unknown): void;
  setSocket(socket: Duplex, head: Buffer, options: Options): void;
  emitClose(): void;
  _socket: import("node:net").Socket | null;
  _sender: { sendFrame(list: readonly Uint8Array[], callback?: Callback): void; _bufferedBytes: number };
  _receiver: { _maxPayload: number };
  _isServer: boolean;
  _req: import("node:http").ClientRequest | null;
  _redirects: number;
  _protocol: string;
}

export interface SocketClass {
  new (address: string | URL | null, protocols?: string | readonly string[] | Options, options?: Options): Socket;
  readonly name: string;
  readonly prototype: Socket;
  readonly CONNECTING: 0;
  readonly OPEN: 1;
  readonly CLOSING: 2;
  readonly CLOSED: 3;
}

export interface Server extends EventEmitter {
  options: Record<string, unknown>;
  readonly clients: Set<Socket> | undefined;
  address(): import("node:net").AddressInfo | string | null;
  close(callback?: Callback): void;
  shouldHandle(request: unknown): boolean | Promise<boolean>;
  handleUpgrade(
    request: unknown,
    socket: Duplex,
    head: Buffer,
    callback: (socket: Socket, request: unknown) => void,
  ): void;
  completeUpgrade(
    extensions: object,
    key: string,
    protocols: Set<string>,
    request: unknown,
    socket: Duplex,
    head: Buffer,
    callback: (socket: Socket, request: unknown) => void,
  ): void;
  _server: import("node:http").Server | null | undefined;
}

export interface ServerClass {
  new (options?: Options, callback?: () => void): Server;
  readonly name: string;
  readonly prototype: Server;
}

export interface ReceiverClass {
  new (options?: Options): Writable & { _maxPayload: number; _binaryType: string };
}

export interface SenderInstance {
  send(data: unknown, options: Options, callback?: Callback): void;
  ping(data: unknown, mask: boolean, callback?: Callback): void;
  pong(data: unknown, mask: boolean, callback?: Callback): void;
  close(code: number | undefined, data: unknown, mask: boolean, callback?: Callback): void;
  sendFrame(list: readonly Uint8Array[], callback?: Callback): void;
}

export interface SenderClass {
  new (socket: Duplex, extensions?: object, generateMask?: (mask: Buffer) => void): SenderInstance;
  frame(data: unknown, options: Options): Buffer[];
}

type Parameters = Readonly<Record<string, string | number | true>>;

export interface DeflateInstance {
  params: Parameters | null;
  offer(): Parameters;
  accept(configurations: readonly Readonly<Record<string, readonly (string | true)[]>>[]): Parameters;
  cleanup(): void;
  compress(
    data: Uint8Array | string,
    fin: boolean,
    callback: (error: Error | null | undefined, data: Buffer) => void,
  ): void;
  decompress(
    data: Uint8Array,
    fin: boolean,
    callback: (error: (Error & { code?: string }) | null | undefined, data: Buffer) => void,
  ): void;
}

export interface DeflateClass {
  new (options?: Options): DeflateInstance;
  readonly extensionName: string;
}

export interface Implementation extends SocketClass {
  readonly WebSocket: SocketClass;
  readonly WebSocketServer: ServerClass;
  readonly Server: ServerClass;
  readonly Receiver: ReceiverClass;
  readonly Sender: SenderClass;
  readonly PerMessageDeflate: DeflateClass;
  readonly createWebSocketStream: (socket: Socket, options?: DuplexOptions) => Duplex;
  readonly extension: {
    parse(header: string): Record<string, Record<string, (string | true)[]>[]>;
    format(extensions: object): string;
  };
  readonly subprotocol: { parse(header: string): Set<string> };
}

export const IMPLEMENTATIONS = ["ws", "@tungstate/ws"] as const;
export type ImplementationName = (typeof IMPLEMENTATIONS)[number];

const require = createRequire(import.meta.url);

export function load(name: ImplementationName): Implementation {
  return require(name) as Implementation;
}

/** Registers the tests of a group once for each implementation. */
export function onEach(title: string, define: (ws: Implementation, name: ImplementationName) => void): void {
  for (const name of IMPLEMENTATIONS) suite(`${title} (${name})`, () => define(load(name), name));
}

const LIMIT = 20_000; // ms: a test that waits for an event that does not come fails, and the others run

/** Registers a test that fails if it does not end. */
export function test(title: string, run: (t: TestContext) => void | Promise<void>): void {
  nodeTest(title, { timeout: LIMIT }, run);
}
