// A program in ESM that uses every exported name and type of ws. It compiles against @types/ws and,
// unchanged, against this package.
import { createServer, IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import WebSocket, { createWebSocketStream, WebSocketServer } from "ws";
import type { WebSocket as Named } from "ws";
import type {
  AddressInfo,
  CertMeta,
  ClientOptions,
  CloseEvent,
  Data,
  ErrorEvent,
  Event,
  EventListenerOptions,
  FinishRequestCallback,
  MessageEvent,
  PerMessageDeflateOptions,
  RawData,
  Server,
  ServerOptions,
  VerifyClientCallbackAsync,
  VerifyClientCallbackSync,
} from "ws";

const finishRequest: FinishRequestCallback = (request, websocket) => {
  request.setHeader("x", websocket.url);
  request.end();
};
const deflate: PerMessageDeflateOptions = {
  serverNoContextTakeover: true,
  clientNoContextTakeover: false,
  serverMaxWindowBits: 10,
  clientMaxWindowBits: 15,
  zlibDeflateOptions: { level: 1, memLevel: 4, chunkSize: 1024 },
  zlibInflateOptions: { chunkSize: 1024 },
  threshold: 100,
  concurrencyLimit: 4,
};
const clientOptions: ClientOptions = {
  followRedirects: true,
  generateMask: (mask: Buffer) => void mask.fill(0),
  handshakeTimeout: 1000,
  maxRedirects: 3,
  perMessageDeflate: deflate,
  localAddress: "127.0.0.1",
  protocolVersion: 13,
  headers: { a: "b" },
  origin: "https://a.example",
  family: 4,
  checkServerIdentity: (_name: string, cert: CertMeta) => cert.length > 0,
  rejectUnauthorized: false,
  allowSynchronousEvents: true,
  autoPong: true,
  maxPayload: 1,
  maxBufferedChunks: 1,
  maxFragments: 1,
  skipUTF8Validation: false,
  finishRequest,
  ca: "certificate",
};

export function client(): WebSocket {
  const socket: Named = new WebSocket("ws://localhost", ["a"], clientOptions);
  new WebSocket(new URL("ws://localhost"), "a").close();
  new WebSocket("ws://localhost", clientOptions).terminate();
  new WebSocket(null);
  // @ts-expect-error an address is required
  new WebSocket();
  // @ts-expect-error an unknown option
  new WebSocket("ws://localhost", [], { nonsense: 1 });
  socket.binaryType = "arraybuffer";
  // @ts-expect-error no such type
  socket.binaryType = "text";
  // @ts-expect-error read-only
  socket.readyState = 1;
  const state: 0 | 1 | 2 | 3 = socket.readyState;
  const numbers: number[] = [socket.bufferedAmount, state, WebSocket.OPEN, socket.CLOSED];
  const texts: string[] = [socket.url, socket.protocol, socket.extensions];
  const paused: boolean = socket.isPaused;
  socket
    .on("open", function opened() {
      this.send("x");
    })
    .on("message", (data: RawData, isBinary: boolean) => {
      const all: Buffer | ArrayBuffer | Buffer[] = data;
      socket.send(String(all), { binary: isBinary, mask: true, compress: false, fin: true }, (error) => {
        const maybe: Error | undefined = error;
        return maybe;
      });
    })
    .once("close", (code: number, reason: Buffer) => socket.close(code, reason))
    .on("ping", (data: Buffer) => socket.pong(data, false, (error: Error) => error.message))
    .on("pong", (data) => data.length)
    .on("error", (error: Error) => error.message)
    .on("upgrade", (response: IncomingMessage) => response.headers)
    .on("redirect", (url, request) => request.setHeader("x", url))
    .on("unexpected-response", (request, response) => [request.path, response.statusCode])
    .addListener("open", () => {})
    .off("open", () => {})
    .removeListener("open", () => {});
  socket.onopen = (event: Event) => event.target.send("x");
  socket.onmessage = ({ data, type, target }: MessageEvent) => target.send(`${String(data satisfies Data)} ${type}`);
  socket.onclose = (event: CloseEvent) => event.wasClean && event.code && event.reason;
  socket.onerror = (event: ErrorEvent) => [event.message, event.error];
  socket.onerror = null;
  const once: EventListenerOptions = { once: true };
  socket.addEventListener("message", (event) => event.data, once);
  socket.addEventListener("close", { handleEvent: (event) => event.code });
  socket.removeEventListener("open", () => {});
  for (const data of ["x", Buffer.from("x"), new Uint8Array(1), new ArrayBuffer(1), 1, [1, 2], new Blob(["x"])]) {
    socket.send(data);
  }
  socket.send("x", () => {});
  socket.ping();
  socket.ping("x", true, () => {});
  socket.pause();
  socket.resume();
  const stream: Duplex = createWebSocketStream(socket, { encoding: "utf8" });
  stream.end([numbers, texts, paused].join());
  return socket;
}

class Request extends IncomingMessage {
  user = "someone";
}

class Client extends WebSocket {
  isAlive = true;
}

export function server(): Server<typeof Client, typeof Request> {
  const sync: VerifyClientCallbackSync = ({ origin, secure, req }) => secure && origin === req.headers.origin;
  const async: VerifyClientCallbackAsync = (_info, callback) => callback(false, 401, "no", { "X-Why": "x" });
  const options: ServerOptions = {
    host: "localhost",
    port: 0,
    backlog: 5,
    verifyClient: async,
    handleProtocols: (protocols: Set<string>, request) => (protocols.has(String(request.url)) ? "a" : false),
    path: "/",
    allowSynchronousEvents: false,
    autoPong: false,
    clientTracking: true,
    perMessageDeflate: true,
    maxPayload: 1,
    maxBufferedChunks: 1,
    maxFragments: 1,
    skipUTF8Validation: true,
    WebSocket,
  };
  const plain: WebSocketServer = new WebSocketServer({ ...options, verifyClient: sync }, () => {});
  // @ts-expect-error no such option
  new WebSocketServer({ nonsense: 1 });
  plain.close((error?: Error) => error);
  const own = new WebSocketServer<typeof Client, typeof Request>({
    noServer: true,
    WebSocket: Client,
    server: createServer({ IncomingMessage: Request }),
  });
  own.on("connection", (socket, request) => [socket.isAlive, request.user]);
  own.on("headers", (headers: string[], request) => headers.push(request.user));
  own.on("listening", () => {}).on("close", () => {});
  own.on("wsClientError", (error: Error, socket: Duplex, request) => [error, socket.destroy(), request.user]);
  for (const socket of own.clients) socket.isAlive = false;
  const address: AddressInfo | string | null = own.address();
  const again: boolean | Promise<boolean> = own.shouldHandle(undefined as unknown as Request);
  own.handleUpgrade(
    undefined as unknown as Request,
    undefined as unknown as Duplex,
    Buffer.alloc(0),
    (socket, request) => [socket.isAlive, request.user, address, again, own.options.maxPayload, own.path],
  );
  return own;
}
