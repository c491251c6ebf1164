import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type Server, Socket } from "node:net";
import { Duplex, PassThrough } from "node:stream";
import { describe, test, type TestContext } from "node:test";
import { accept } from "../../src/server/accept.ts";
import { client } from "../../src/client/client.ts";
import { HandleTransport } from "../../src/transport/handle.ts";
import { transportOf } from "../../src/transport/of.ts";
import { takeHandle } from "../../src/native/system.ts";
import type { Transport, TransportSink } from "../../src/transport/transport.ts";
import { kinds } from "../support/pairs.ts";
import { skipPortable } from "../support/portable.ts";
import type { ByteStream } from "../../src/transport/byte-stream.ts";
import { defaultRuntime } from "../../src/native/runtime.ts";

/** Two connected sockets. Closed when the test ends. */
async function sockets(t: TestContext, options: { readonly allowHalfOpen?: boolean } = {}): Promise<[Socket, Socket]> {
  const server: Server = createServer({ allowHalfOpen: true });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const near = connect({ port, host: "127.0.0.1", allowHalfOpen: true, ...options });
  const [[far]] = (await Promise.all([once(server, "connection"), once(near, "connect")])) as [[Socket], unknown];
  t.after(async () => {
    near.destroy();
    far.destroy();
    server.close();
    await once(server, "close");
  });
  for (const socket of [near, far]) socket.on("error", () => undefined);
  return [near, far];
}

/** Records the events of a transport. */
class Recorder implements TransportSink {
  readonly chunks: Buffer[] = [];
  readonly events: string[] = [];
  cause: Error | undefined;
  private wake: (() => void) | undefined;

  onBytes(chunk: Uint8Array, start: number, end: number): void {
    this.chunks.push(Buffer.from(chunk.subarray(start, end)));
    this.reported("bytes");
  }

  onWritten(): void {
    this.reported("written");
  }

  onEnd(): void {
    this.reported("end");
  }

  onClosed(cause?: Error): void {
    this.cause = cause;
    this.reported("closed");
  }

  private reported(event: string): void {
    this.events.push(event);
    this.wake?.();
  }

  get bytes(): Buffer {
    return Buffer.concat(this.chunks);
  }

  async until(done: () => boolean): Promise<void> {
    while (!done()) await new Promise<void>((resolve) => (this.wake = resolve));
  }

  seen(event: string): Promise<void> {
    return this.until(() => this.events.includes(event));
  }
}

const turns = async (count: number): Promise<void> => {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
};

const of = (stream: ByteStream): Transport =>
  transportOf(stream, { noDelay: true, runtime: defaultRuntime, transport: "auto" });

for (const kind of kinds) {
  describe(`a transport over ${kind.name}`, () => {
    async function pair(t: TestContext): Promise<[Transport, Transport, Recorder, Recorder]> {
      const { client, server, cleanup } = await kind.make();
      const [near, far] = [of(client), of(server)];
      const sinks: [Recorder, Recorder] = [new Recorder(), new Recorder()];
      t.after(async () => {
        near.destroy();
        far.destroy();
        await cleanup();
      });
      return [near, far, ...sinks];
    }

    test("delivers bytes in order, one write at a time, whole and in chunks", async (t) => {
      const [near, far, here, there] = await pair(t);
      near.start(here);
      far.start(there);
      let expected = "";
      for (const pieces of ["one", ["two", "three", "", "four"], [], "x".repeat(300_000), ["y".repeat(200_000), "z"]]) {
        const written = here.events.filter((event) => event === "written").length;
        const list = Array.isArray(pieces) ? pieces : [pieces];
        const done = near.write(Array.isArray(pieces) ? list.map((each) => Buffer.from(each)) : Buffer.from(pieces));
        if (!done) await here.until(() => here.events.filter((event) => event === "written").length > written);
        expected += list.join("");
      }
      await there.until(() => there.bytes.length >= expected.length);
      assert.equal(there.bytes.toString(), expected);
    });

    test("pause stops reading, resume continues, and another sink receives the next byte", async (t) => {
      const [near, far, here, there] = await pair(t);
      near.start(here);
      far.start(there);
      near.write(Buffer.from("first"));
      await there.seen("bytes");
      far.pause();
      await turns(3);
      near.write(Buffer.from("second"));
      await turns(5);
      const soFar = there.bytes.toString();
      const next = new Recorder();
      far.start(next);
      await next.until(() => soFar.length + next.bytes.length === 11);
      assert.equal(soFar + next.bytes.toString(), "firstsecond");
    });

    test("ends one direction, then the other", async (t) => {
      const [near, far, here, there] = await pair(t);
      near.start(here);
      far.start(there);
      near.write(Buffer.from("last"));
      near.end();
      near.end();
      await there.seen("end");
      assert.equal(there.bytes.toString(), "last");
      far.end();
      await Promise.all([here.seen("closed"), there.seen("closed")]);
      assert.equal(here.events.filter((event) => event === "closed").length, 1);
      assert.equal(there.events.filter((event) => event === "end").length, 1);
      assert.equal(here.cause, undefined);
    });

    test("destroy is reported once, also if never started, and later calls do nothing", async (t) => {
      const [near, far, here, there] = await pair(t);
      far.start(there);
      near.destroy();
      near.destroy();
      near.start(here);
      // the other end receives an end, or a reset
      await Promise.all([here.seen("closed"), there.until(() => there.events.length > 0)]);
      near.write(Buffer.from("late"));
      near.write([Buffer.from("late"), Buffer.from("later")]);
      near.end();
      near.pause();
      near.resume();
      await turns(3);
      assert.deepEqual(here.events, ["closed"]);
    });
  });
}

describe("the handle of a socket", { skip: skipPortable }, () => {
  test("is taken from a connected plain socket, with the data already read", async (t) => {
    const [near, far] = await sockets(t);
    far.on("readable", () => undefined);
    near.write("early ");
    await once(far, "readable");
    const transport = of(far);
    assert.ok(transport instanceof HandleTransport);
    near.write("late");
    const sink = new Recorder();
    transport.start(sink);
    await sink.until(() => sink.bytes.length === 10);
    assert.equal(sink.bytes.toString(), "early late");
  });

  test("is not taken from a socket that is connecting, has ended, has pending writes, is of another class, or decodes", async (t) => {
    const refused = (socket: Socket): void => {
      const handle: unknown = Reflect.get(socket, "_handle");
      assert.equal(takeHandle(socket), undefined);
      assert.equal(Reflect.get(socket, "_handle"), handle);
    };
    const [near, far] = await sockets(t);
    const connecting = connect({ port: 1, host: "127.0.0.1" });
    connecting.on("error", () => undefined);
    refused(connecting);
    connecting.destroy();
    refused(connecting);
    refused(new Socket());

    near.write(Buffer.alloc(64 * 1024 * 1024));
    assert.ok(near.writableLength > 0);
    refused(near);

    Object.setPrototypeOf(far, class Other extends Socket {}.prototype);
    refused(far);

    const [ended] = await sockets(t);
    ended.end();
    refused(ended);

    const [decoding] = await sockets(t);
    decoding.setEncoding("utf8");
    refused(decoding);
  });

  test("a stream of text instead of bytes is rejected immediately", async (t) => {
    const [text] = await sockets(t);
    text.setEncoding("utf8");
    assert.throws(() => of(text), { code: "INVALID_ARGUMENT", message: /setEncoding/ });
  });

  test("ends with the socket that it was taken from", async (t) => {
    const [near, far] = await sockets(t);
    const [one, two] = await Promise.all([client("ws://localhost/", near), accept(far)]);
    near.destroy();
    const [atOne, atTwo] = await Promise.all([one.closed, two.closed]);
    assert.deepEqual([atOne.code, atTwo.code], [1006, 1006]);
    assert.equal(far.destroyed, true);
  });

  test("addresses are known while it is open", async (t) => {
    const [near, far] = await sockets(t);
    const { remoteAddress } = far;
    const transport = of(far);
    assert.deepEqual([transport.localAddress, transport.remoteAddress], ["127.0.0.1", remoteAddress]);
    transport.destroy();
    near.destroy();
    await once(far, "close");
    assert.equal(transport.remoteAddress, remoteAddress);
  });

  test("a local end has no cause, a reset by the peer has one", async (t) => {
    const [near, far] = await sockets(t);
    far.pause();
    const here = new Recorder();
    const transport = of(near);
    transport.start(here);
    assert.equal(transport.write(Buffer.alloc(32 * 1024 * 1024)), false);
    transport.destroy();
    await here.seen("closed");
    assert.equal(here.cause, undefined);

    const [reset, other] = await sockets(t);
    const sink = new Recorder();
    of(other).start(sink);
    reset.resetAndDestroy();
    await sink.seen("closed");
    assert.match(String(sink.cause), /ECONNRESET/);
  });

  test("does not starve others: a flood is read in parts of at most a MiB", async (t) => {
    const [near, far] = await sockets(t);
    const SIZE = 48 * 1024 * 1024;
    near.write(Buffer.alloc(SIZE));
    let total = 0;
    let inTurn = 0;
    let most = 0;
    const transport = of(far);
    const count = (): void => {
      most = Math.max(most, inTurn);
      inTurn = 0;
      if (total < SIZE) setImmediate(count);
    };
    setImmediate(count);
    await new Promise<void>((resolve) => {
      transport.start({
        onBytes: (_chunk, start, end) => {
          total += end - start;
          inTurn += end - start;
          if (total === SIZE) resolve();
        },
        onWritten: () => undefined,
        onEnd: () => undefined,
        onClosed: () => undefined,
      });
    });
    assert.ok(most <= 1024 * 1024, `${most} bytes were read in one tick`);
  });
});

/** A stream whose writes complete when the test says so. */
class Slow extends Duplex {
  readonly written: string[] = [];
  private readonly waiting: (() => void)[] = [];

  override _read(): void {
    // pushed by the test
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.waiting.push(() => {
      // only now, as a stream that passes the bytes on may do
      this.written.push(chunk.toString("latin1"));
      done();
    });
  }

  async step(): Promise<void> {
    this.waiting.shift()?.();
    await turns(1);
  }
}

describe("writes", () => {
  test("onWritten belongs to the last of them, whatever was written for the handshake", async () => {
    const stream = new Slow();
    const transport = of(stream);
    const sink = new Recorder();
    assert.equal(transport.write(Buffer.from("request")), false);
    transport.start(sink);
    assert.equal(transport.write([Buffer.from("a"), Buffer.from("b")]), false);
    await stream.step();
    await stream.step();
    assert.deepEqual(sink.events, []);
    await stream.step();
    assert.deepEqual(sink.events, ["written"]);
    assert.deepEqual(stream.written, ["request", "a", "b"]);
    transport.destroy();
  });

  test("the same over Web streams", async () => {
    const dones: (() => void)[] = [];
    const writable = new WritableStream<Uint8Array>({ write: () => new Promise<void>((done) => dones.push(done)) });
    const transport = of({ readable: new ReadableStream<Uint8Array>(), writable });
    const sink = new Recorder();
    await turns(1);
    transport.write(Buffer.from("request"));
    transport.start(sink);
    transport.write([Buffer.from("a"), Buffer.from("b")]);
    for (let write = 0; write < 3; write++) {
      await turns(1);
      assert.deepEqual(sink.events, []);
      dones.shift()?.();
    }
    await turns(1);
    assert.deepEqual(sink.events, ["written"]);
    transport.destroy();
  });
});

describe("Web streams", () => {
  test("that fail while several chunks wait end the transport, without an unhandled rejection", async () => {
    let fail: (error: Error) => void = () => undefined;
    const writable = new WritableStream<Uint8Array>({
      start: (controller) => void (fail = (error) => controller.error(error)),
      write: () => new Promise(() => undefined),
    });
    const transport = of({ readable: new ReadableStream<Uint8Array>(), writable });
    const sink = new Recorder();
    transport.start(sink);
    transport.write(["a", "b", "c"].map((text) => Buffer.from(text)));
    fail(new Error("the pipe broke"));
    await sink.seen("closed");
    assert.match(String(sink.cause), /the pipe broke/);
    await turns(2);
  });

  test("with chunks that are not bytes end the transport with an error that says so", async () => {
    const readable = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue("text" as unknown as Uint8Array),
    });
    const sink = new Recorder();
    of({ readable, writable: new WritableStream<Uint8Array>() }).start(sink);
    await sink.seen("closed");
    assert.match(String(sink.cause), /Uint8Array/);
  });

  test("that are locked are rejected, and unchanged", () => {
    for (const which of ["readable", "writable"] as const) {
      const pair = { readable: new ReadableStream<Uint8Array>(), writable: new WritableStream<Uint8Array>() };
      if (which === "readable") pair.readable.getReader();
      else pair.writable.getWriter();
      assert.throws(() => of(pair), { code: "INVALID_ARGUMENT", message: /locked/ });
      assert.equal(pair[which === "readable" ? "writable" : "readable"].locked, false);
    }
  });
});

test("a Duplex of objects that are not bytes ends the transport with an error that says so", async () => {
  const stream = new Duplex({ objectMode: true, read: () => undefined, write: (_chunk, _encoding, done) => done() });
  const sink = new Recorder();
  of(stream).start(sink);
  stream.push({ not: "bytes" });
  await sink.seen("closed");
  assert.match(String(sink.cause), /Uint8Array/);
});

test("a stream whose other end reads the bytes after the write has completed gets a copy", async () => {
  // each passes the other's bytes on without a copy, and calls back at once
  const [there, back] = [new PassThrough({ highWaterMark: 1e9 }), new PassThrough({ highWaterMark: 1e9 })];
  const near = Duplex.from({ readable: back, writable: there });
  const far = Duplex.from({ readable: there, writable: back });
  const [server, connection] = await Promise.all([
    accept(far, { receiveQueueSize: 1 }),
    client("ws://example.com", near),
  ]);
  const texts = Array.from({ length: 50 }, (_, number) => `message ${number} `.repeat(20));
  for (const text of texts) {
    connection.write(text);
    await connection.flush(); // its memory may be reused
  }
  const received: string[] = [];
  for await (const message of server) if (received.push(message.text) === texts.length) break;
  assert.deepEqual(received, texts);
  connection.terminate();
  server.terminate();
});
