import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createConnection, createServer, Socket, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as tlsConnect, createServer as createTlsServer, TLSSocket } from "node:tls";
import { once } from "node:events";
import { memoryPipe } from "../../src/testing/memory-pipe.ts";
import type { ByteStream } from "../../src/transport/byte-stream.ts";

/** Two ends of a byte stream: for a client and for a server. */
export interface Pair {
  readonly client: ByteStream;
  readonly server: ByteStream;
  cleanup(): Promise<void> | void;
}

export interface Kind {
  readonly name: string;
  make(): Promise<Pair>;
}

async function accepted(server: Server, connect: () => Socket): Promise<[Socket, Socket]> {
  const incoming = once(server, "connection") as Promise<[Socket]>;
  const client = connect();
  const [[other]] = await Promise.all([incoming, once(client, "connect")]);
  return [client, other];
}

async function listening(server: Server, where: number | string): Promise<Server> {
  if (typeof where === "number") server.listen(where, "127.0.0.1");
  else server.listen(where);
  await once(server, "listening");
  return server;
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

function closing(server: Server): () => Promise<void> {
  return async () => {
    server.close();
    await once(server, "close");
  };
}

async function tcp(): Promise<Pair> {
  const server = await listening(createServer(), 0);
  const [client, other] = await accepted(server, () => createConnection(portOf(server), "127.0.0.1"));
  return { client, server: other, cleanup: closing(server) };
}

/**
 * A subclass of `net.Socket`, whose handle is therefore not used: tests the code without Node's
 * handles.
 */
class OtherSocket extends Socket {}

async function portable(): Promise<Pair> {
  const pair = await tcp();
  for (const end of [pair.client, pair.server]) Object.setPrototypeOf(end, OtherSocket.prototype);
  return pair;
}

async function unix(): Promise<Pair> {
  const folder = mkdtempSync(join(tmpdir(), "tungstate-"));
  const path = join(folder, "socket");
  const server = await listening(createServer(), path);
  const [client, other] = await accepted(server, () => createConnection(path));
  return {
    client,
    server: other,
    async cleanup() {
      await closing(server)();
      rmSync(folder, { recursive: true });
    },
  };
}

let certificate: { readonly key: string; readonly cert: string } | undefined;

/** A key and a certificate for localhost, created once for the process. */
export function selfSigned(): { readonly key: string; readonly cert: string } {
  if (certificate !== undefined) return certificate;
  const folder = mkdtempSync(join(tmpdir(), "tungstate-"));
  const files = ["-keyout", join(folder, "key"), "-out", join(folder, "cert")];
  const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
  const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
  execFileSync("openssl", ["req", "-x509", ...kind, "-nodes", "-days", "2", ...files, ...subject], { stdio: "ignore" });
  certificate = { key: readFileSync(join(folder, "key"), "utf8"), cert: readFileSync(join(folder, "cert"), "utf8") };
  rmSync(folder, { recursive: true });
  return certificate;
}

/** Two TLS sockets after their handshake. */
export async function tls(): Promise<Pair & { readonly client: TLSSocket; readonly server: TLSSocket }> {
  const { key, cert } = selfSigned();
  const server = await listening(createTlsServer({ key, cert }), 0);
  const incoming = once(server, "secureConnection") as Promise<[TLSSocket]>;
  const client = tlsConnect({ port: portOf(server), host: "127.0.0.1", ca: cert, servername: "localhost" });
  const [[other]] = await Promise.all([incoming, once(client, "secureConnect")]);
  return { client, server: other, cleanup: closing(server) };
}

/** As `OtherSocket`. */
class OtherTlsSocket extends TLSSocket {}

async function portableTls(): Promise<Pair> {
  const pair = await tls();
  for (const end of [pair.client, pair.server]) Object.setPrototypeOf(end, OtherTlsSocket.prototype);
  return pair;
}

export const memory: Kind = {
  name: "a memory pipe",
  async make() {
    const [client, server] = memoryPipe();
    return { client, server, cleanup: () => undefined };
  },
};

const web: Kind = {
  name: "Web streams",
  async make() {
    const there = new TransformStream<Uint8Array, Uint8Array>();
    const back = new TransformStream<Uint8Array, Uint8Array>();
    const client = { readable: back.readable, writable: there.writable };
    const server = { readable: there.readable, writable: back.writable };
    return { client, server, cleanup: () => undefined };
  },
};

/** Every kind of byte stream that a connection supports. */
export const kinds: readonly Kind[] = [
  memory,
  web,
  { name: "TCP", make: tcp },
  { name: "TCP by the public interface of sockets", make: portable },
  { name: "a Unix socket", make: unix },
  { name: "TLS", make: tls },
  { name: "TLS by the public interface of sockets", make: portableTls },
];
