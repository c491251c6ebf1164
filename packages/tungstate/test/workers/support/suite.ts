import assert from "node:assert/strict";
import { connect as connectTcp } from "node:net";
import { once } from "node:events";
import { test, type TestContext } from "node:test";
import { connect, type ConnectOptions } from "../../../src/client/connect.ts";
import type { WebSocketConnection } from "../../../src/connection/types.ts";
import { take } from "../../support/take.ts";
import { until } from "../../support/until.ts";

/** A platform that runs ./worker.ts. */
export interface WorkerPlatform {
  readonly port: number;
  /** Removes the Durable Objects from memory, as for hibernation; where the platform can do it. */
  readonly evict?: () => void;
}

/** The tests of `tungstate/workers`, on one platform. */
export function workersSuite(name: string, start: (t: TestContext) => Promise<WorkerPlatform>): void {
  const open = async (
    t: TestContext,
    path: string,
    options: ConnectOptions = {},
  ): Promise<{ readonly platform: WorkerPlatform; readonly client: WebSocketConnection }> => {
    const platform = await start(t);
    return { platform, client: await dial(t, platform, path, options) };
  };

  test(`${name}: messages come back with their type`, async (t) => {
    const { client } = await open(t, "/echo");
    const sizes = [0, 1, 125, 126, 65_535, 65_536, 300_000];
    const texts = ["", "text", "日本語 😀", "x".repeat(70_000)];
    for (const text of texts) client.write(text);
    for (const size of sizes) client.write(new Uint8Array(size).fill(size));
    const received = await take(client, texts.length + sizes.length);
    assert.deepEqual(
      received.map(({ type }) => type),
      [...texts.map(() => "text"), ...sizes.map(() => "binary")],
    );
    assert.deepEqual(
      received.slice(0, texts.length).map(({ text }) => text),
      texts,
    );
    assert.deepEqual(
      received.slice(texts.length).map(({ bytes }) => [bytes.length, bytes[0]]),
      sizes.map((size) => [size, size === 0 ? undefined : size & 255]),
    );
  });

  test(`${name}: an iteration reads in order, and the connection closes with a code`, async (t) => {
    const { client, platform } = await open(t, "/iterate");
    for (const text of ["one", "two", "three", "stop", "four"]) client.write(text);
    const texts: string[] = [];
    for await (const { text } of client) texts.push(text);
    assert.deepEqual(texts, ["one", "two", "three"]);
    const { code, reason, clean } = await client.closed;
    assert.deepEqual({ code, reason, clean }, { code: 4002, reason: "enough", clean: true });
    await logged(platform, ['close 4002 "" true']);
  });

  test(`${name}: write() returns false while much is buffered, and flush() waits`, async (t) => {
    const { client, platform } = await open(t, "/flood");
    let bytes = 0;
    for await (const message of client) bytes += message.size;
    assert.equal(bytes, 64 * 64 * 1024);
    await logged(platform, ["waited true", "buffered 0", 'close 1000 "" true']);
  });

  test(`${name}: more unread messages than receiveQueueSize end the connection with 1013`, async (t) => {
    const { client, platform } = await open(t, "/full");
    for (let count = 0; count < 11; count++) client.write("x".repeat(100));
    assert.equal((await client.closed).code, 1013);
    await logged(platform, ["error RECEIVE_QUEUE_FULL"]);
  });

  for (const path of ["/throws", "/rejects"]) {
    test(`${name}: ${path}: a listener that fails ends the connection with 1011`, async (t) => {
      const { client, platform } = await open(t, path);
      client.write("x");
      client.write("y");
      assert.equal((await client.closed).code, 1011);
      await logged(platform, ["error HANDLER_FAILED"]);
    });
  }

  test(`${name}: terminate() ends the connection at once`, async (t) => {
    const { client, platform } = await open(t, "/terminate");
    client.write("x");
    await client.closed;
    await logged(platform, ['close 1006 "" false']);
  });

  test(`${name}: a listener that is added late misses nothing`, async (t) => {
    const { client } = await open(t, "/late");
    for (let count = 0; count < 20; count++) client.write(String(count));
    const received = await take(client, 20);
    assert.deepEqual(
      received.map(({ text }) => Number(text)),
      Array.from({ length: 20 }, (_, index) => index),
    );
  });

  test(`${name}: close() sends every code that may be sent, and no other`, async (t) => {
    const platform = await start(t);
    for (const code of [1000, 1001, 1003, 1008, 1011, 1013, 3000, 4999]) {
      const client = await dial(t, platform, "/close");
      client.write(JSON.stringify({ code, reason: "é".repeat(61) }));
      const info = await client.closed;
      assert.deepEqual([info.code, info.reason], [code, "é".repeat(61)]);
    }
    await fetchLog(platform);
    for (const wrong of [
      { code: 999 },
      { code: 1005 },
      { code: 1006 },
      { code: 1015 },
      { code: 2000 },
      { code: 5000 },
      { code: "1000" },
      { code: 1000, reason: "é".repeat(62) },
    ]) {
      const client = await dial(t, platform, "/close");
      client.write(JSON.stringify(wrong));
      assert.equal((await client.closed).code, 1011, JSON.stringify(wrong)); // it threw
    }
  });

  test(`${name}: the end of the client is reported with its code`, async (t) => {
    const platform = await start(t);
    const ends: readonly [(client: WebSocketConnection) => unknown, string][] = [
      [(client) => client.close(), 'close 1000 "" true'],
      [(client) => client.close(4321, "ganz"), 'close 4321 "ganz" true'],
      [(client) => client.close(3000), 'close 3000 "" true'],
      [(client) => client.terminate(), 'close 1006 "" false'],
    ];
    for (const [end, expected] of ends) {
      const client = await dial(t, platform, "/echo");
      end(client);
      const { clean } = await client.closed;
      assert.equal(clean, expected.endsWith("true"), expected);
      await logged(platform, [expected]);
    }
  });

  test(`${name}: a Close without a code is 1005; a protocol error is CONNECTION_LOST`, async (t) => {
    const platform = await start(t);
    for (const [frame, expected] of [
      ["8880" + "00000000", 'close 1005 "" true'],
      ["8380" + "00000000", 'close 1006 "" false'], // an unknown opcode
    ] as const) {
      const socket = await raw(t, platform, "/echo");
      socket.write(Buffer.from(frame, "hex"));
      await once(socket, "close");
      await logged(platform, [expected]);
    }
  });

  test(`${name}: a client that does not answer a Close is dropped after closeTimeout`, async (t) => {
    const platform = await start(t);
    const socket = await raw(t, platform, "/unanswered");
    socket.resume();
    socket.write(Buffer.from("818100000000" + "78", "hex")); // the text "x", for which it closes
    await logged(platform, ["error CLOSE_TIMEOUT", 'close 1006 "" false']);
  });

  test(`${name}: after the end, write() returns false, and send() and flush() reject`, async (t) => {
    const { client, platform } = await open(t, "/ended");
    await client.close();
    await logged(platform, ["after the end: false NOT_OPEN NOT_OPEN closed"]);
  });

  for (const path of ["/room", "/hibernating"]) {
    test(`${name}: ${path}: a message goes to all connections of a Durable Object`, async (t) => {
      const platform = await start(t);
      const clients = await Promise.all(Array.from({ length: 5 }, () => dial(t, platform, path)));
      clients[0]?.write("to all");
      clients[0]?.write(new Uint8Array([1, 2, 3]));
      for (const client of clients) {
        const received = await take(client, 2);
        assert.deepEqual(
          received.map(({ type, bytes }) => [type, bytes.length]),
          [
            ["text", 6],
            ["binary", 3],
          ],
        );
      }
      await clients[4]?.close(4444);
      await logged(platform, ['close 4444 "" true']);
      clients[1]?.write("rest");
      for (const client of clients.slice(0, 4)) assert.equal((await take(client, 1))[0]?.text, "rest");
    });
  }

  test(`${name}: after hibernation, a connection has its listeners again and new statistics`, async (t) => {
    const platform = await start(t);
    if (platform.evict === undefined) {
      t.skip("it hibernates after 10 s, and cannot be asked to");
      return;
    }
    const clients = [await dial(t, platform, "/hibernating"), await dial(t, platform, "/hibernating")];
    clients[0]?.write("before");
    for (const client of clients) await take(client, 1);
    platform.evict();
    clients[0]?.write("after");
    for (const client of clients) assert.equal((await take(client, 1))[0]?.text, "after");
    clients[1]?.write("stats");
    const [stats] = await take(clients[1], 1);
    assert.deepEqual(stats?.json(), { messagesReceived: 1, messagesSent: 1, bytesReceived: 5, bytesSent: 5 });
    platform.evict();
    await clients[1]?.close(4001);
    await logged(platform, ['close 4001 "" true']);
  });

  test(`${name}: upgrade() agrees on a subprotocol and adds header fields`, async (t) => {
    const { client } = await open(t, "/echo", { protocols: ["zero", "one", "two"] });
    assert.equal(client.protocol, "two");
    assert.equal(client.headers.get("x-test"), "yes");
    assert.equal((await open(t, "/echo")).client.protocol, "");
  });

  test(`${name}: upgrade() refuses other requests with 426, and pages of other origins with 403`, async (t) => {
    const platform = await start(t);
    const response = await fetch(`http://127.0.0.1:${platform.port}/echo`);
    assert.equal(response.status, 426);
    const own = `http://127.0.0.1:${platform.port}`;
    for (const [path, origin, status] of [
      ["/echo", own, 101],
      ["/echo", "https://evil.example", 403],
      ["/echo", "null", 403],
      ["/other-origins", "https://other.example", 101],
      ["/other-origins", own, 403],
    ] as const) {
      const socket = connectTcp(platform.port, "127.0.0.1");
      t.after(() => socket.destroy());
      socket.write(request(platform, path, `Origin: ${origin}\r\n`));
      const [first] = (await once(socket, "data")) as [Buffer];
      assert.equal(Number(first.toString("latin1").split(" ")[1]), status, `${path} ${origin}`);
    }
  });

  test(`${name}: wrong arguments throw INVALID_ARGUMENT`, async (t) => {
    const platform = await start(t);
    const response = await fetch(`http://127.0.0.1:${platform.port}/arguments`);
    assert.deepEqual(await response.json(), WRONG_ARGUMENTS);
  });
}

const WRONG_ARGUMENTS: readonly string[] = [
  "TypeError INVALID_ARGUMENT the socket must be the server socket of a WebSocketPair",
  "TypeError INVALID_ARGUMENT the socket must be the server socket of a WebSocketPair",
  "RangeError INVALID_ARGUMENT closeTimeout must be an integer from 1 to 2147483647 (ms), got 0",
  "RangeError INVALID_ARGUMENT writeBufferSize must be an integer from 0 to 2147483647 (bytes), got -1",
  'TypeError INVALID_ARGUMENT receiveQueueSize must be an integer from 0 to 2147483647 (bytes), got "1"',
  "TypeError INVALID_ARGUMENT unknown option closeTimeot: did you mean closeTimeout?",
  'TypeError INVALID_ARGUMENT protocols must be an array of strings, got "one"',
  'TypeError INVALID_ARGUMENT origin must be one of "same" and "any", or an array of origins, got "all"',
  "TypeError INVALID_ARGUMENT unknown option origins: did you mean origin?",
  "TypeError INVALID_ARGUMENT the second argument of Hibernation must be a function",
  "RangeError INVALID_ARGUMENT closeTimeout must be an integer from 1 to 2147483647 (ms), got Infinity",
  "TypeError INVALID_ARGUMENT the socket must be the server socket of a WebSocketPair",
];

async function dial(
  t: TestContext,
  { port }: WorkerPlatform,
  path: string,
  options: ConnectOptions = {},
): Promise<WebSocketConnection> {
  const client = await connect(`ws://127.0.0.1:${port}${path}`, { proxy: false, ...options });
  t.after(() => client.terminate());
  return client;
}

async function fetchLog({ port }: WorkerPlatform): Promise<string[]> {
  return (await (await fetch(`http://127.0.0.1:${port}/log`)).json()) as string[];
}

/** Waits until the Worker has logged these lines, in this order. */
async function logged(platform: WorkerPlatform, expected: readonly string[]): Promise<void> {
  const lines: string[] = [];
  await until(async () => {
    lines.push(...(await fetchLog(platform)));
    return expected.every((line) => lines.includes(line));
  }, expected.join(", ")).catch((error: unknown) => {
    throw new Error(`the log has ${lines.join(", ")}`, { cause: error });
  });
  assert.deepEqual(
    lines.filter((line) => expected.includes(line)),
    expected,
  );
}

const request = ({ port }: WorkerPlatform, path: string, more = ""): string =>
  `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
  `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n${more}\r\n`;

/** A client that has done its handshake and sends bytes. */
async function raw(t: TestContext, platform: WorkerPlatform, path: string) {
  const socket = connectTcp(platform.port, "127.0.0.1");
  t.after(() => socket.destroy());
  socket.write(request(platform, path));
  await once(socket, "data");
  return socket;
}
