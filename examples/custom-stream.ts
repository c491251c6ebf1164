// WebSocket over byte streams that are no TCP: a Unix socket, and an SSH-like channel, which is any Duplex.
//   npx tsx examples/custom-stream.ts
import { mkdtemp, rm } from "node:fs/promises";
import { createConnection, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { once } from "node:events";
import { Duplex } from "node:stream";
import { accept, client, connect } from "tungstate";
import { memoryPipe } from "tungstate/testing";

async function echo(stream: Duplex): Promise<void> {
  const connection = await accept(stream);
  for await (const message of connection) connection.write(message);
}

// 1. A Unix socket, by its URL.
const folder = await mkdtemp(join(tmpdir(), "tungstate-"));
const path = join(folder, "echo.sock");
const server = createServer((socket) => void echo(socket)).listen(path);
await once(server, "listening");
const overUnix = await connect(`ws+unix:${path}:/chat`);
overUnix.write("over a Unix socket");
for await (const message of overUnix) {
  console.log(message.text);
  break;
}
await overUnix.close();

// The same, on a stream that we have made ourselves.
const byHand = await client("ws://localhost/chat", createConnection(path));
await byHand.close();
server.close();
await rm(folder, { recursive: true });

// 2. A channel of another protocol. Whatever carries bytes both ways will do; this one counts them.
class Channel extends Duplex {
  bytes = 0;
  private readonly inner: Duplex;

  constructor(inner: Duplex) {
    super({ allowHalfOpen: true });
    this.inner = inner;
    inner.on("data", (chunk: Buffer) => {
      this.bytes += chunk.length;
      if (!this.push(chunk)) inner.pause();
    });
    inner.on("end", () => this.push(null));
    inner.on("error", (error) => this.destroy(error));
  }

  override _read(): void {
    this.inner.resume();
  }

  override _write(chunk: Buffer, encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.bytes += chunk.length;
    this.inner.write(chunk, encoding, done);
  }

  override _final(done: () => void): void {
    this.inner.end(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.inner.destroy();
    done(error);
  }
}

const [near, far] = memoryPipe();
void echo(far);
const channel = new Channel(near);
const overChannel = await client("ws://device.local/", channel);
overChannel.write("over a channel");
for await (const message of overChannel) {
  console.log(message.text);
  break;
}
await overChannel.close();
console.log(channel.bytes > 0 ? "the channel carried it" : "nothing went through");
