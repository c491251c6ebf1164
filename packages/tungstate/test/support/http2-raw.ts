import { once } from "node:events";
import { type ClientHttp2Session, type ClientHttp2Stream, connect, type IncomingHttpHeaders } from "node:http2";
import type { Socket } from "node:net";
import { selfSigned } from "./pairs.ts";
import { Raw } from "./raw.ts";

interface Cleanup {
  after(end: () => unknown): void;
}

/** A peer whose WebSocket is open, and the socket below it. */
export interface OpenedRaw {
  readonly raw: Raw;
  readonly socket: Socket;
}

/** Requests a WebSocket on a stream of a new session, which ends with the test. */
async function request(t: Cleanup, url: string): Promise<{ stream: ClientHttp2Stream; socket: Socket }> {
  const session = connect(url.replace(/^ws/, "http"), { ca: selfSigned().cert });
  session.on("error", () => undefined);
  t.after(() => session.destroy());
  const [, [, socket]] = (await Promise.all([once(session, "remoteSettings"), once(session, "connect")])) as [
    unknown,
    [ClientHttp2Session, Socket],
  ];
  const stream = session.request(
    { ":method": "CONNECT", ":protocol": "websocket", ":path": "/", "sec-websocket-version": "13" },
    { endStream: false },
  );
  stream.once("end", () => stream.end()); // as sockets do
  return { stream, socket };
}

/** Opens a WebSocket on a stream of a new session. Nothing of it has been read. */
export async function openStream(t: Cleanup, url: string): Promise<{ stream: ClientHttp2Stream; socket: Socket }> {
  const opened = await request(t, url);
  const [headers] = (await once(opened.stream, "response")) as [IncomingHttpHeaders];
  if (Number(headers[":status"]) !== 200) throw new Error(`the server answered ${String(headers[":status"])}`);
  return opened;
}

/**
 * As `openStream`, with a peer that sends bytes. With `early`, which follows the request, the
 * response is not waited for: the server may end the stream before it is sent.
 */
export async function openRawStream(t: Cleanup, url: string, early?: Uint8Array): Promise<OpenedRaw> {
  const { stream, socket } = await (early === undefined ? openStream(t, url) : request(t, url));
  const raw = new Raw(stream);
  if (early !== undefined) raw.send(early);
  return { raw, socket };
}
