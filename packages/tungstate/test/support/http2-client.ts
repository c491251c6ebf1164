import { ConnectHandshake, type Http2Fields } from "@tungstate/protocol";
import { once } from "node:events";
import { type ClientHttp2Session, type ClientHttp2Stream, connect, type IncomingHttpHeaders } from "node:http2";
import { openConnection } from "../../src/connection/connection.ts";
import { type ConnectionOptions, connectionSettings } from "../../src/connection/options.ts";
import type { WebSocketConnection } from "../../src/connection/types.ts";
import { clientCompression } from "../../src/deflate/settings.ts";
import { pairsOf } from "../../src/http2/fields.ts";
import { Http2StreamTransport } from "../../src/http2/stream-transport.ts";
import { selfSigned } from "./pairs.ts";

/** Opens an HTTP/2 session whose server takes WebSockets. It ends with the test. */
export async function openSession(t: { after(end: () => unknown): void }, url: string): Promise<ClientHttp2Session> {
  const session = connect(url, { ca: selfSigned().cert });
  session.on("error", () => undefined);
  t.after(() => session.destroy());
  const [settings] = (await once(session, "remoteSettings")) as [{ enableConnectProtocol: boolean }];
  if (!settings.enableConnectProtocol) throw new Error("the server does not take extended CONNECT");
  return session;
}

/** The response to a request. */
export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly fields: Http2Fields;
  readonly stream: ClientHttp2Stream;
}

/** Sends an extended CONNECT; undefined takes a field away. Rejects if the stream ends without a response. */
export async function extendedConnect(
  session: ClientHttp2Session,
  fields: Readonly<Record<string, string | string[] | undefined>> = {},
): Promise<Answer> {
  const all = {
    ":method": "CONNECT",
    ":protocol": "websocket",
    ":path": "/",
    "sec-websocket-version": "13",
    ...fields,
  };
  const sent = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
  const stream = session.request(sent, { endStream: false });
  const closed = once(stream, "close").then(() => {
    throw new Error(`the stream was closed with ${stream.rstCode}`);
  });
  closed.catch(() => undefined);
  stream.on("error", () => undefined);
  const [headers, , raw] = (await Promise.race([once(stream, "response"), closed])) as [
    IncomingHttpHeaders,
    number,
    string[],
  ];
  return { status: Number(headers[":status"]), headers, fields: pairsOf(raw), stream };
}

/** The text of a response. */
export async function bodyOf({ stream }: Answer): Promise<string> {
  let body = "";
  for await (const chunk of stream) body += String(chunk);
  return body;
}

/** Opens a WebSocket on a stream of a session. Rejects if the server refuses. */
export async function openWebSocket(
  session: ClientHttp2Session,
  options: ConnectionOptions & {
    readonly protocols?: readonly string[];
    readonly headers?: Record<string, string>;
  } = {},
  path = "/",
): Promise<WebSocketConnection> {
  const { protocols = [], headers, ...rest } = options;
  const settings = connectionSettings("client", rest);
  const handshake = new ConnectHandshake({
    encrypted: session.encrypted === true,
    target: path,
    host: `127.0.0.1:${session.socket.remotePort}`,
    protocols,
    headers,
    extensions: settings.deflate === undefined ? [] : [clientCompression(settings.deflate.compression)],
  });
  const { stream, fields } = await extendedConnect(session, Object.fromEntries(handshake.fields));
  const result = handshake.receive(fields);
  if (result.state !== "open") throw result.error;
  const codec = settings.deflate?.codecFor(result.extensions, "client");
  const agreed = { protocol: result.protocol, extensions: result.extensionsHeader, codec };
  const transport = new Http2StreamTransport(stream, session);
  return openConnection(transport, settings, agreed, result.headers, new Uint8Array(0)).connection;
}
