import { once } from "node:events";
import { connect as connectHttp2, createServer as createHttp2Server, type Http2Stream } from "node:http2";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { acceptValue, type HttpHead, parseHead, request, response } from "../wire/http.ts";

// The suite speaks HTTP/1.1. These relays translate its handshakes to HTTP/2 (RFC 8441) and back,
// and pass all bytes after them on as they are.

export interface Relay {
  readonly port: number;
  readonly close: () => Promise<void>;
}

const EXTENSIONS = "sec-websocket-extensions";
const KEY = "dGhlIHNhbXBsZSBub25jZQ==";
const CANCEL = 8; // RFC 9113 §7

/** A server of HTTP/1.1, whose connections are streams of one HTTP/2 session to `port`. */
export async function relayToHttp2(port: number): Promise<Relay> {
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  session.on("error", ignore);
  await once(session, "remoteSettings");
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on("error", ignore);
    readHead(socket, ({ startLine, fields }) => {
      const stream = session.request(
        {
          ":method": "CONNECT",
          ":protocol": "websocket",
          ":path": startLine.split(" ")[1] ?? "/",
          "sec-websocket-version": "13",
          ...extensionsOf(fields.get(EXTENSIONS)),
        },
        { endStream: false },
      );
      join(socket, stream);
      stream.on("response", (headers) => {
        if (headers[":status"] !== 200) {
          socket.destroy();
          return;
        }
        socket.write(response(fields.get("sec-websocket-key") ?? "", String(headers[EXTENSIONS] ?? "")));
        pipe(socket, stream);
      });
    });
  });
  const relay = await started(server);
  return {
    port: relay.port,
    async close() {
      session.destroy();
      await relay.close();
    },
  };
}

/** A server of HTTP/2, whose streams are connections of HTTP/1.1 to the host of `url`. */
export async function relayFromHttp2(url: URL): Promise<Relay> {
  const server = createHttp2Server({ settings: { enableConnectProtocol: true } });
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => sockets.add(socket));
  server.on("sessionError", ignore);
  server.on("stream", (stream, headers) => {
    const socket = connect({ port: Number(url.port), host: url.hostname, noDelay: true });
    socket.on("error", ignore);
    join(socket, stream);
    socket.write(request(url, KEY, String(headers[EXTENSIONS] ?? "")));
    readHead(socket, ({ startLine, fields }) => {
      const isOpen = startLine.startsWith("HTTP/1.1 101") && fields.get("sec-websocket-accept") === acceptValue(KEY);
      if (stream.destroyed) return;
      stream.respond({ ":status": isOpen ? 200 : 502, ...extensionsOf(fields.get(EXTENSIONS)) });
      pipe(socket, stream);
    });
  });
  const { port, close } = await started(server);
  return {
    port,
    async close() {
      const closed = close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

async function started(server: Pick<Server, "listen" | "address" | "close" | "once">): Promise<Relay> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

function readHead(socket: Socket, done: (head: HttpHead) => void): void {
  let received = Buffer.alloc(0);
  const onData = (chunk: Buffer): void => {
    received = Buffer.concat([received, chunk]);
    const parsed = parseHead(received);
    if (parsed === undefined) return;
    socket.off("data", onData).pause();
    if (parsed.rest.length > 0) socket.unshift(parsed.rest);
    done(parsed.head);
  };
  socket.on("data", onData);
}

function extensionsOf(value: string | undefined): Record<string, string> {
  return value === undefined ? {} : { [EXTENSIONS]: value };
}

/** The end of one is the end of the other: RFC 8441 §5. */
function join(socket: Socket, stream: Http2Stream): void {
  stream.on("error", ignore);
  stream.on("close", () => {
    if (stream.rstCode !== 0) socket.destroy();
  });
  socket.on("close", () => stream.close(socket.readableEnded ? 0 : CANCEL));
}

function pipe(socket: Socket, stream: Http2Stream): void {
  socket.pipe(stream);
  stream.pipe(socket);
}

function ignore(): void {
  // "close" follows
}
