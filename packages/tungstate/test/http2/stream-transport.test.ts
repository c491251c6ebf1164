import assert from "node:assert/strict";
import { once } from "node:events";
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  createServer,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo } from "node:net";
import { suite, test, type TestContext } from "node:test";
import { Http2StreamTransport } from "../../src/http2/stream-transport.ts";
import type { TransportSink } from "../../src/transport/transport.ts";
import { until } from "../support/until.ts";

/** Records what a transport reports. */
class Sink implements TransportSink {
  bytes = 0;
  written = 0;
  ended = false;
  closed: { readonly cause: Error | undefined } | undefined;
  onChunk: () => void = () => undefined;

  onBytes(_: Uint8Array, start: number, end: number): void {
    this.bytes += end - start;
    this.onChunk();
  }

  onWritten(): void {
    this.written++;
  }

  onEnd(): void {
    this.ended = true;
  }

  onClosed(cause?: Error): void {
    assert.equal(this.closed, undefined, "closed is reported once");
    this.closed = { cause };
  }
}

/** A session between node:http2 on both sides, whose server has transports. */
async function pair(t: TestContext) {
  const server = createServer({ settings: { enableConnectProtocol: true } });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const arrived = once(server, "session") as Promise<[ServerHttp2Session]>;
  const client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  client.on("error", () => undefined);
  await once(client, "remoteSettings");
  const [session] = await arrived;
  session.on("error", () => undefined);
  t.after(() => {
    client.destroy();
    server.close();
  });
  const open = async (): Promise<{ stream: ClientHttp2Stream; transport: Http2StreamTransport; sink: Sink }> => {
    const stream = openStream(client);
    const [other] = (await once(server, "stream")) as [ServerHttp2Stream];
    other.respond({ ":status": 200 });
    const transport = new Http2StreamTransport(other, session);
    const sink = new Sink();
    transport.start(sink);
    return { stream, transport, sink };
  };
  return { client, session, open };
}

function openStream(client: ClientHttp2Session): ClientHttp2Stream {
  const stream = client.request({ ":method": "CONNECT", ":protocol": "websocket", ":path": "/" }, { endStream: false });
  stream.on("error", () => undefined);
  return stream;
}

const WINDOW = 65_535; // RFC 9113 §6.9.2

suite("the transport of an HTTP/2 stream", () => {
  test("carries bytes in both directions, and knows its session and addresses", async (t) => {
    const { session, open } = await pair(t);
    const { stream, transport, sink } = await open();
    stream.write("hello");
    await until(() => sink.bytes === 5);
    assert.equal(transport.write([Buffer.from("he"), Buffer.from("llo")]), false);
    let received = "";
    stream.on("data", (chunk: Buffer) => (received += chunk.toString()));
    await until(() => received === "hello" && sink.written === 1);
    assert.equal(transport.unsent, 0);
    assert.equal(transport.remoteAddress, "127.0.0.1");
    assert.equal(transport.session.remotePort, session.socket.remotePort);
    assert.equal((await open()).transport.session, transport.session, "streams of a session share it");
  });

  test("END_STREAM in both directions ends it without RST_STREAM", async (t) => {
    const { open } = await pair(t);
    const { stream, transport, sink } = await open();
    stream.resume();
    transport.write(Buffer.alloc(100_000));
    transport.end();
    await once(stream, "end");
    assert.equal(sink.ended, false, "the other half is still open");
    stream.end("late");
    await until(() => sink.closed !== undefined);
    assert.equal(sink.ended, true);
    assert.equal(sink.bytes, 4);
    assert.equal(sink.closed?.cause, undefined);
    assert.equal(stream.rstCode, constants.NGHTTP2_NO_ERROR);
  });

  for (const where of ["outside of a notification", "while bytes are delivered"]) {
    test(`destroy ${where} resets the stream with CANCEL`, async (t) => {
      const { open } = await pair(t);
      const { stream, transport, sink } = await open();
      stream.resume();
      const reset = once(stream, "close");
      if (where === "while bytes are delivered") sink.onChunk = () => transport.destroy();
      stream.write("hello");
      await until(() => sink.bytes > 0);
      transport.destroy();
      assert.equal(transport.closed, true);
      await reset;
      assert.equal(stream.rstCode, constants.NGHTTP2_CANCEL);
      await until(() => sink.closed !== undefined);
    });
  }

  for (const code of ["NGHTTP2_CANCEL", "NGHTTP2_INTERNAL_ERROR"] as const) {
    test(`a stream that the peer resets with ${code} is closed with an error that says so`, async (t) => {
      const { open } = await pair(t);
      const { stream, sink, transport } = await open();
      stream.close(constants[code]);
      await until(() => sink.closed !== undefined);
      assert.match(String(sink.closed?.cause), new RegExp(code.replace("NGHTTP2_", "")));
      assert.equal(transport.closed, true);
      assert.equal(transport.write(Buffer.from("dropped")), false);
    });
  }

  test("the end of the session closes all its streams", async (t) => {
    const { client, open } = await pair(t);
    const all = [await open(), await open(), await open()];
    client.destroy();
    for (const { sink, transport } of all) {
      await until(() => sink.closed !== undefined);
      assert.notEqual(sink.closed?.cause, undefined);
      assert.equal(transport.remoteAddress, "127.0.0.1", "the address is known after the end");
    }
  });

  test("a paused stream holds one window, and stops no other stream", async (t) => {
    const { open } = await pair(t);
    const slow = await open();
    const other = await open();
    slow.transport.pause();
    const size = 1024 * 1024;
    slow.stream.end(Buffer.alloc(size));
    other.stream.write(Buffer.alloc(size));
    await until(() => other.sink.bytes === size);
    assert.ok(slow.sink.bytes <= WINDOW, `${slow.sink.bytes} bytes`);
    assert.ok(slow.stream.bufferSize >= size - WINDOW, "the rest is still at the sender");
    slow.transport.resume();
    await until(() => slow.sink.ended);
    assert.equal(slow.sink.bytes, size);
  });

  test("a write waits for the peer's window, and stops no other stream", async (t) => {
    const { open } = await pair(t);
    const slow = await open(); // left unread
    const other = await open();
    other.stream.resume();
    const size = 1024 * 1024;
    slow.transport.write(Buffer.alloc(size));
    other.transport.write(Buffer.alloc(size));
    await until(() => other.sink.written === 1);
    assert.equal(slow.sink.written, 0);
    assert.ok(slow.transport.unsent >= size - 2 * WINDOW, `${slow.transport.unsent} bytes`);
    slow.stream.resume();
    await until(() => slow.sink.written === 1);
    assert.equal(slow.transport.unsent, 0);
  });

  test("a new sink gets the end of a stream that has ended before", async (t) => {
    const { client, open } = await pair(t);
    const { transport, sink } = await open();
    client.destroy();
    await until(() => sink.closed !== undefined);
    const late = new Sink();
    transport.start(late);
    await until(() => late.closed !== undefined);
  });

  test("unansweredSends counts PING frames without an answer", async (t) => {
    const { client, open } = await pair(t);
    const { transport } = await open();
    assert.equal(await transport.unansweredSends(), 0);
    await new Promise((resolve) => client.ping(resolve)); // the peer has answered the first one by then
    assert.equal(await transport.unansweredSends(), 0);
    assert.equal(await transport.unansweredSends(), 1);
    assert.equal(await transport.unansweredSends(), 2);
  });
});
