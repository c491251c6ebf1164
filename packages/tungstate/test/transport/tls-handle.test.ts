import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectTcp, createServer as createTcpServer, type AddressInfo, type Socket } from "node:net";
import { describe, test, type TestContext } from "node:test";
import { connect as connectTls, createServer as createTlsServer, TLSSocket } from "node:tls";
import { defaultRuntime } from "../../src/native/runtime.ts";
import { takeTlsHandle } from "../../src/native/tls-handle.ts";
import { memoryPipe } from "../../src/testing/memory-pipe.ts";
import { DuplexTransport } from "../../src/transport/duplex.ts";
import { releaseStream, transportOf } from "../../src/transport/of.ts";
import { TlsHandleTransport } from "../../src/transport/tls-handle.ts";
import type { Transport, TransportSink } from "../../src/transport/transport.ts";
import { selfSigned, tls } from "../support/pairs.ts";
import { skipPortable } from "../support/portable.ts";

const of = (stream: Socket, transport: "auto" | "socket" = "auto"): Transport =>
  transportOf(stream, { noDelay: true, runtime: defaultRuntime, transport });

/** Two TLS sockets. Destroyed when the test ends. */
async function sockets(t: TestContext): Promise<[TLSSocket, TLSSocket]> {
  const { client, server, cleanup } = await tls();
  for (const socket of [client, server]) socket.on("error", () => undefined);
  t.after(async () => {
    client.destroy();
    server.destroy();
    await cleanup();
  });
  return [client, server];
}

/** Collects what a transport reports. */
class Recorder implements TransportSink {
  readonly chunks: Buffer[] = [];
  ended = false;
  writes = 0;
  closed: { readonly cause: NodeJS.ErrnoException | undefined } | undefined;
  onChunk: () => void = () => undefined;
  private wake: (() => void) | undefined;

  onBytes(chunk: Uint8Array, start: number, end: number): void {
    this.chunks.push(Buffer.from(chunk.subarray(start, end)));
    this.onChunk();
    this.wake?.();
  }

  onWritten(): void {
    this.writes++;
    this.wake?.();
  }

  onEnd(): void {
    this.ended = true;
    this.wake?.();
  }

  onClosed(cause?: Error): void {
    this.closed = { cause };
    this.wake?.();
  }

  get bytes(): Buffer {
    return Buffer.concat(this.chunks);
  }

  async until(done: () => boolean): Promise<void> {
    while (!done()) await new Promise<void>((resolve) => (this.wake = resolve));
  }
}

/** Bytes that differ from place to place. */
function pattern(size: number): Buffer {
  return Buffer.from(Uint8Array.from({ length: size }, (_, at) => (at * 31 + (at >> 8)) & 0xff));
}

const ticks = async (count: number): Promise<void> => {
  for (let tick = 0; tick < count; tick++) await new Promise((resolve) => setImmediate(resolve));
};

describe("the handle of a TLS socket", { skip: skipPortable }, () => {
  test("is used in both roles after the handshake, unless public APIs are asked for", async (t) => {
    const [near, far] = await sockets(t);
    assert.ok(of(near) instanceof TlsHandleTransport);
    assert.ok(of(far) instanceof TlsHandleTransport);
    for (const socket of await sockets(t)) assert.ok(of(socket, "socket") instanceof DuplexTransport);
  });

  test("is not taken before the handshake, after an end, with pending writes, from a subclass, from a socket that decodes, or over a stream in JavaScript", async (t) => {
    const refused = (socket: Socket): void => {
      const before = Object.getOwnPropertyNames(socket);
      assert.equal(takeTlsHandle(socket), undefined);
      assert.deepEqual(Object.getOwnPropertyNames(socket), before);
    };
    const [silent, unheard] = memoryPipe();
    for (const end of [silent, unheard]) end.on("error", () => undefined);
    const handshaking = connectTls({ socket: silent, rejectUnauthorized: false });
    handshaking.on("error", () => undefined);
    refused(handshaking);
    handshaking.destroy();
    refused(handshaking);

    const [writing, ended] = await sockets(t);
    writing.write(Buffer.alloc(32 * 1024 * 1024));
    assert.ok(writing.writableLength > 0);
    refused(writing);
    ended.end();
    refused(ended);

    const [decoding, subclass] = await sockets(t);
    decoding.setEncoding("utf8");
    refused(decoding);
    Object.setPrototypeOf(subclass, class Other extends TLSSocket {}.prototype);
    refused(subclass);

    const { key, cert } = selfSigned();
    const [below, other] = memoryPipe();
    for (const end of [below, other]) end.on("error", () => undefined);
    const over = connectTls({ socket: below, ca: cert, servername: "localhost" });
    const server = new TLSSocket(other, { isServer: true, key, cert });
    await Promise.all([once(over, "secureConnect"), once(server, "secure")]);
    refused(over);
    refused(server);
    over.destroy();
    server.destroy();
  });

  test("delivers what the socket had read before", async (t) => {
    const [near, far] = await sockets(t);
    far.on("readable", () => undefined);
    near.write("early ");
    await once(far, "readable");
    const transport = of(far);
    const sink = new Recorder();
    near.write("late");
    transport.start(sink);
    await sink.until(() => sink.bytes.length === 10);
    assert.equal(sink.bytes.toString(), "early late");
  });

  test("reports an end that the socket had read before", async (t) => {
    const [near, far] = await sockets(t);
    far.on("readable", () => undefined);
    near.end("last");
    await Promise.all([once(far, "readable"), once(near, "finish")]);
    await ticks(3);
    const sink = new Recorder();
    of(far).start(sink);
    await sink.until(() => sink.ended);
    assert.equal(sink.bytes.toString(), "last");
  });

  test("keeps records that were decrypted after a pause, in order", async (t) => {
    const [near, far] = await sockets(t);
    const sent = pattern(300_000);
    const transport = of(far);
    const sink = new Recorder();
    let paused = 0;
    sink.onChunk = () => {
      transport.pause();
      const seen = sink.chunks.length;
      setImmediate(() => {
        assert.equal(sink.chunks.length, seen, "a chunk was delivered to a paused sink");
        paused++;
        transport.resume();
      });
    };
    transport.start(sink);
    near.write(sent);
    await sink.until(() => sink.bytes.length === sent.length);
    assert.ok(sink.bytes.equals(sent));
    assert.ok(paused > 1);
  });

  test("writes of any sizes arrive in order, also those during another write", async (t) => {
    const [near, far] = await sockets(t);
    const transport = of(near);
    const sink = new Recorder();
    const there = new Recorder();
    transport.start(sink);
    of(far).start(there);
    const sent: Buffer[] = [];
    let expected = 0;
    for (const sizes of [[1], [0], [5, 0, 7], [], [65_536], [10, 65_536], [70_000, 70_000], [1_000_000], [3]]) {
      const pieces = sizes.map((size) => pattern(size));
      sent.push(...pieces);
      if (!transport.write(pieces)) expected++;
    }
    const all = Buffer.concat(sent);
    await there.until(() => there.bytes.length === all.length);
    assert.ok(there.bytes.equals(all));
    assert.ok(expected > 0);
    assert.equal(transport.unsent, 0);
  });

  test("bytes of a write that returned true may be reused at once", async (t) => {
    const [near, far] = await sockets(t);
    const transport = of(near);
    transport.start(new Recorder());
    const there = new Recorder();
    of(far).start(there);
    await ticks(2);
    const bytes = Buffer.from("first");
    while (!transport.write(bytes)) await ticks(1);
    bytes.write("XXXXX");
    await there.until(() => there.bytes.length >= 5);
    assert.equal(there.bytes.subarray(-5).toString(), "first");
  });

  test("a peer that does not read is noticed, and read on from when it does", async (t) => {
    const [near, far] = await sockets(t);
    far.pause();
    const transport = of(near);
    const sink = new Recorder();
    transport.start(sink);
    const size = 8 * 1024 * 1024;
    assert.equal(transport.write(pattern(size)), false);
    await ticks(20);
    assert.ok(transport.unsent > 0);
    assert.equal(sink.writes, 0);
    let received = 0;
    far.on("data", (chunk: Buffer) => (received += chunk.length)).resume();
    await sink.until(() => sink.writes === 1);
    assert.equal(transport.unsent, 0);
    while (received < size) await ticks(1);
  });

  test("end() sends everything that was written, then close_notify and the end of the stream", async (t) => {
    const [near, far] = await sockets(t);
    const transport = of(near);
    const here = new Recorder();
    transport.start(here);
    const sent = pattern(400_000);
    transport.write(sent);
    transport.end();
    const received: Buffer[] = [];
    far.allowHalfOpen = true;
    far.on("data", (chunk: Buffer) => received.push(chunk));
    await once(far, "end");
    assert.ok(Buffer.concat(received).equals(sent));
    far.end("after");
    await here.until(() => here.closed !== undefined);
    assert.equal(here.bytes.toString(), "after");
    assert.equal(here.closed?.cause, undefined);
  });

  for (const [name, hurt] of [
    ["write()", (socket: Socket) => void socket.write("not ours")],
    ["end() with data", (socket: Socket) => void socket.end("not ours")],
  ] as const) {
    test(`${name} of code that still holds the socket ends the connection, not the process`, async (t) => {
      const [near, far] = await sockets(t);
      far.pause();
      const transport = of(near);
      const sink = new Recorder();
      transport.start(sink);
      transport.write(pattern(4 * 1024 * 1024)); // in progress
      hurt(near);
      await sink.until(() => sink.closed !== undefined);
      assert.equal(sink.closed?.cause?.code, "ERR_SOCKET_CLOSED");
    });
  }

  test("ends with the socket, whose later calls do nothing", async (t) => {
    const { client } = await relayed(t); // whose TCP socket is known
    const below = Reflect.get(client, "_parent") as Socket;
    const [near] = await sockets(t);
    for (const [socket, ending] of [
      [client, below],
      [near, near],
    ] as const) {
      const transport = of(socket);
      const sink = new Recorder();
      transport.start(sink);
      transport.write(Buffer.from("x"));
      ending.destroy();
      transport.write(Buffer.from("late"));
      transport.write([Buffer.from("late"), pattern(100_000)]);
      transport.pause();
      transport.resume();
      transport.keepAlive(1000);
      transport.end();
      await sink.until(() => sink.closed !== undefined);
      transport.destroy();
      assert.equal(await transport.unansweredSends(), undefined);
    }
  });

  test("leaves sessions, the certificate, the cipher and the name to the socket", async (t) => {
    const [near, far] = await sockets(t);
    const sessions: Buffer[] = [];
    near.on("session", (session) => sessions.push(session));
    const transport = of(near);
    of(far).start(new Recorder());
    transport.start(new Recorder());
    assert.equal(near.getPeerCertificate().subject.CN, "localhost");
    assert.equal(near.getProtocol(), "TLSv1.3");
    assert.equal(far.getCipher().name, near.getCipher().name);
    assert.equal(Reflect.get(far, "servername"), "localhost");
    transport.write(Buffer.from("x"));
    while (sessions.length === 0) await ticks(1);
  });
});

describe("a released TLS socket", { skip: skipPortable }, () => {
  test("reads and writes as before", async (t) => {
    const [near, far] = await sockets(t);
    const transport = of(far);
    const sink = new Recorder();
    transport.start(sink);
    near.write("one");
    await sink.until(() => sink.bytes.length === 3);
    const socket = releaseStream(transport);
    assert.equal(socket, far);
    near.write("two");
    let received = "";
    far.on("data", (chunk: Buffer) => (received += chunk.toString())).resume();
    while (received !== "two") await ticks(1);
    far.write("three");
    const [reply] = (await once(near, "data")) as [Buffer];
    assert.equal(reply.toString(), "three");
    near.end("four");
    await once(far, "end");
    assert.equal(received, "twofour");
    far.end();
    await once(near, "end");
  });

  test("gets records that were decrypted meanwhile, and reads on under back pressure", async (t) => {
    const [near, far] = await sockets(t);
    const sent = pattern(2_000_000);
    const transport = of(far);
    const sink = new Recorder();
    const released = new Promise<Socket>((resolve) => {
      sink.onChunk = () => resolve(releaseStream(transport) as Socket);
    });
    transport.start(sink);
    near.end(sent);
    const socket = await released;
    const rest: Buffer[] = [];
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      rest.push(chunk);
      await ticks(1);
    }
    assert.ok(Buffer.concat([sink.bytes, ...rest]).equals(sent));
  });

  test("can be taken again", async (t) => {
    const [near, far] = await sockets(t);
    const first = of(far);
    first.start(new Recorder());
    releaseStream(first);
    const sink = new Recorder();
    const again = of(far);
    assert.ok(again instanceof TlsHandleTransport);
    again.start(sink);
    near.write("hello");
    await sink.until(() => sink.bytes.toString() === "hello");
  });

  test("reports errors of the connection", async (t) => {
    const { server, toServer } = await relayed(t);
    const transport = of(server);
    transport.start(new Recorder());
    releaseStream(transport);
    server.resume();
    toServer.resetAndDestroy();
    const [error] = (await once(server, "error")) as [NodeJS.ErrnoException];
    assert.equal(error.code, "ECONNRESET");
  });
});

/** What lies between the two ends of a connection, and may change it. */
interface Middle {
  readonly client: TLSSocket;
  readonly server: TLSSocket;
  /** The TCP connections to the client and to the server. */
  readonly toClient: Socket;
  readonly toServer: Socket;
}

/** Two TLS sockets with a relay between them. */
async function relayed(t: TestContext): Promise<Middle> {
  const { key, cert } = selfSigned();
  const accepting = createTlsServer({ key, cert });
  const relay = createTcpServer();
  for (const server of [accepting, relay]) {
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
  }
  const portOf = (server: typeof relay): number => (server.address() as AddressInfo).port;
  const near = connectTcp(portOf(relay), "127.0.0.1");
  const [toClient] = (await once(relay, "connection")) as [Socket];
  const toServer = connectTcp(portOf(accepting), "127.0.0.1");
  toClient.on("data", (chunk) => toServer.write(chunk));
  toServer.on("data", (chunk) => toClient.write(chunk));
  const client = connectTls({ socket: near, ca: cert, servername: "localhost" });
  const incoming = once(accepting, "secureConnection") as Promise<[TLSSocket]>;
  const [[server]] = await Promise.all([incoming, once(client, "secureConnect")]);
  for (const socket of [near, toClient, toServer, client, server]) socket.on("error", () => undefined);
  t.after(async () => {
    for (const socket of [client, server, toClient, toServer]) socket.destroy();
    for (const each of [accepting, relay]) {
      each.close();
      await once(each, "close");
    }
  });
  await ticks(3);
  return { client, server, toClient, toServer };
}

describe(
  "a TLS connection that is disturbed reports the same by its handle and by the public interface",
  { skip: skipPortable },
  () => {
    const disturbances: readonly [name: string, disturb: (middle: Middle) => void][] = [
      [
        "a record that was changed",
        ({ toServer }) => toServer.write(Buffer.from("1703030020" + "aa".repeat(32), "hex")),
      ],
      ["bytes that are no record", ({ toServer }) => toServer.write("GET / HTTP/1.1\r\n\r\n")],
      ["an alert without encryption", ({ toServer }) => toServer.write(Buffer.from("15030300020228", "hex"))],
      ["the end of TCP without close_notify", ({ toServer }) => toServer.end()],
      ["part of a record, then the end of TCP", ({ toServer }) => toServer.end(Buffer.from("1703030020aa", "hex"))],
      ["a reset", ({ toServer }) => toServer.resetAndDestroy()],
      ["an end with close_notify", ({ client }) => client.end()],
    ];
    for (const [name, disturb] of disturbances) {
      test(name, async (t) => {
        const outcomes: unknown[] = [];
        for (const kind of ["auto", "socket"] as const) {
          const middle = await relayed(t);
          const transport = of(middle.server, kind);
          assert.equal(transport instanceof TlsHandleTransport, kind === "auto");
          const sink = new Recorder();
          transport.start(sink);
          middle.client.write("before");
          await sink.until(() => sink.bytes.length === 6);
          disturb(middle);
          await sink.until(() => sink.ended || sink.closed !== undefined);
          const { ended } = sink;
          transport.end();
          middle.client.end();
          middle.client.resume();
          if (ended) middle.toServer.destroy();
          await sink.until(() => sink.closed !== undefined);
          const { cause } = sink.closed ?? {};
          outcomes.push({ ended, code: cause?.code, message: cause?.message.replaceAll(/^\w+:error:/g, "error:") });
        }
        assert.deepEqual(outcomes[0], outcomes[1]);
      });
    }
  },
);
