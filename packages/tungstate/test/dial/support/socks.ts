import { connect, type Socket } from "node:net";
import type { TestContext } from "node:test";
import { listen, type Peer } from "./peers.ts";

/** A request of a client to a SOCKS server. */
export interface SocksRequest {
  readonly version: 4 | 5;
  /** The form of the host: an address of four or sixteen bytes, or a name. */
  readonly form: "ipv4" | "ipv6" | "name";
  /** Addresses of sixteen bytes in hexadecimal. */
  readonly host: string;
  readonly port: number;
  /** SOCKS4's user id, or the user name of RFC 1929. */
  readonly user: string | undefined;
  readonly password: string | undefined;
}

export interface SocksServerOptions {
  /** The reply to a request: 90 (SOCKS4) and 0 (SOCKS5) grant it. Default: granted. */
  readonly reply?: (request: SocksRequest) => number;
  /** The required user and password of SOCKS5. Default: none. */
  readonly credentials?: { readonly user: string; readonly password: string };
  /** Sends every reply byte by byte. */
  readonly slow?: boolean;
  /** Sent together with the last reply. */
  readonly behind?: Uint8Array;
  /** Only replies, and connects to nothing. */
  readonly dead?: boolean;
}

export interface SocksServer extends Peer {
  readonly requests: readonly SocksRequest[];
}

/**
 * A SOCKS 4, 4a and 5 server. Connects to the requested port of this machine, whatever the host.
 */
export async function listenSocks(t: TestContext, options: SocksServerOptions = {}): Promise<SocksServer> {
  const requests: SocksRequest[] = [];
  const peer = await listen(t, (socket) => {
    serve(socket, options, requests).catch(() => socket.destroy()); // the client has disconnected
  });
  return { ...peer, requests };
}

/** Reads a socket by numbers of bytes. */
class Reader {
  private readonly socket: Socket;

  constructor(socket: Socket) {
    this.socket = socket;
  }

  async bytes(size: number): Promise<Buffer> {
    for (;;) {
      const got = this.socket.read(size) as Buffer | null;
      if (got !== null) return got;
      await new Promise<void>((resolve, reject) => {
        const ended = (): void => reject(new Error("the client has ended"));
        this.socket.once("readable", () => {
          this.socket.off("close", ended);
          resolve();
        });
        this.socket.once("close", ended);
        if (this.socket.destroyed) ended();
      });
    }
  }

  async byte(): Promise<number> {
    return (await this.bytes(1)).readUInt8();
  }

  /** Reads text up to and including a NUL. */
  async text(): Promise<string> {
    let text = "";
    for (let byte = await this.byte(); byte !== 0; byte = await this.byte()) text += String.fromCharCode(byte);
    return Buffer.from(text, "latin1").toString();
  }

  /** Reads text after its length byte. */
  async counted(): Promise<string> {
    return (await this.bytes(await this.byte())).toString();
  }
}

async function serve(socket: Socket, options: SocksServerOptions, requests: SocksRequest[]): Promise<void> {
  const reader = new Reader(socket);
  const answer = async (...parts: readonly (readonly number[] | Uint8Array)[]): Promise<void> => {
    const bytes = Buffer.concat(parts.map((part) => Uint8Array.from(part)));
    if (options.slow !== true) socket.write(bytes);
    else for (const byte of bytes) await new Promise((resolve) => socket.write(Buffer.of(byte), resolve));
  };
  const version = await reader.byte();
  const request = version === 4 ? await readSocks4(reader) : await readSocks5(reader, answer, options);
  if (request === undefined) {
    socket.end();
    return;
  }
  requests.push(request);
  const granted = request.version === 4 ? 90 : 0;
  const reply = options.reply?.(request) ?? granted;
  const head = request.version === 4 ? [0, reply] : [5, reply, 0, 1];
  const tail = request.version === 4 ? [0x12, 0x34, 9, 9, 9, 9] : [127, 0, 0, 1, 0x12, 0x34];
  await answer(head, tail, options.behind ?? []);
  if (reply !== granted) socket.end();
  else if (options.dead !== true) {
    const onward = connect(request.port, "127.0.0.1");
    onward.on("error", () => socket.destroy());
    onward.on("close", () => socket.destroy());
    socket.on("close", () => onward.destroy());
    socket.pipe(onward).pipe(socket);
  }
}

async function readSocks4(reader: Reader): Promise<SocksRequest | undefined> {
  if ((await reader.byte()) !== 1) return undefined; // CONNECT
  const port = (await reader.bytes(2)).readUInt16BE();
  const address = await reader.bytes(4);
  const user = await reader.text();
  // 4a: 0.0.0.x, x not 0
  const isName = address.readUIntBE(0, 3) === 0 && address.readUInt8(3) !== 0;
  const host = isName ? await reader.text() : address.join(".");
  return { version: 4, form: isName ? "name" : "ipv4", host, port, user, password: undefined };
}

async function readSocks5(
  reader: Reader,
  answer: (...parts: readonly (readonly number[])[]) => Promise<void>,
  { credentials }: SocksServerOptions,
): Promise<SocksRequest | undefined> {
  const methods = await reader.bytes(await reader.byte());
  const wanted = credentials === undefined ? 0 : 2;
  if (!methods.includes(wanted)) {
    await answer([5, 0xff]);
    return undefined;
  }
  await answer([5, wanted]);
  let user: string | undefined;
  let password: string | undefined;
  if (credentials !== undefined) {
    await reader.byte(); // the version of RFC 1929
    user = await reader.counted();
    password = await reader.counted();
    const right = user === credentials.user && password === credentials.password;
    await answer([1, right ? 0 : 1]);
    if (!right) return undefined;
  }
  const [version, command, , type] = await reader.bytes(4);
  if (version !== 5 || command !== 1) return undefined;
  const form = type === 1 ? "ipv4" : type === 4 ? "ipv6" : "name";
  let host: string;
  if (form === "name") host = await reader.counted();
  else if (form === "ipv4") host = (await reader.bytes(4)).join(".");
  else host = (await reader.bytes(16)).toString("hex");
  const port = (await reader.bytes(2)).readUInt16BE();
  return { version: 5, form, host, port, user, password };
}
