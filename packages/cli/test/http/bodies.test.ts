import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { test, type TestContext } from "node:test";
import { MemoryBudget } from "tungstate";
import { Bodies } from "../../src/http/bodies.ts";

const SIZE = 1000;

interface Setup {
  readonly budget: MemoryBudget;
  readonly bodies: Bodies;
  /**
   * Sends bytes on a new connection. Resolves with the connection and the request when the head has
   * been read.
   */
  readonly send: (head: string, ...rest: readonly string[]) => Promise<{ socket: Socket; request: IncomingMessage }>;
}

async function setUp(t: TestContext, deadline = 60_000): Promise<Setup> {
  const budget = new MemoryBudget(1_000_000);
  const bodies = new Bodies(budget, { size: SIZE, count: 3, deadline });
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return {
    budget,
    bodies,
    async send(head, ...rest) {
      const socket = connect(port, "127.0.0.1");
      socket.on("error", () => undefined);
      const requested = once(server, "request") as Promise<[IncomingMessage, ServerResponse]>;
      socket.write(`POST / HTTP/1.1\r\nHost: localhost\r\n${head}\r\n\r\n${rest.join("")}`);
      const [request] = await requested;
      return { socket, request };
    },
  };
}

const size = async (body: Buffer): Promise<number> => body.length;
const held = ({ budget }: Setup): number => budget.use.held;

test("a body of the size limit is read; one more byte is 413, with and without Content-Length", async (t) => {
  const setup = await setUp(t);
  const chunked = (length: number): string => `${length.toString(16)}\r\n${"x".repeat(length)}\r\n0\r\n\r\n`;
  for (const length of [0, 1, SIZE - 1, SIZE]) {
    const declared = await setup.send(`Content-Length: ${length}`, "x".repeat(length));
    assert.equal(await setup.bodies.read(declared.request, size), length);
    if (length === 0) continue;
    const inChunks = await setup.send("Transfer-Encoding: chunked", chunked(length));
    assert.equal(await setup.bodies.read(inChunks.request, size), length);
  }
  // none of the body needs to arrive for that
  const declared = await setup.send(`Content-Length: ${SIZE + 1}`);
  const inChunks = await setup.send("Transfer-Encoding: chunked", chunked(SIZE + 1));
  for (const { request } of [declared, inChunks]) {
    const result = await setup.bodies.read(request, size);
    assert.deepEqual(result, { status: 413, text: `the body must not exceed ${SIZE} bytes` });
  }
  assert.equal(held(setup), 0);
});

test("a body beyond the concurrency limit is 503 until another one has been used", async (t) => {
  const setup = await setUp(t);
  const first = await setup.send("Content-Length: 4", "ab");
  const others = [await setup.send("Content-Length: 4", "ab"), await setup.send("Content-Length: 4", "ab")];
  const reading = [first, ...others].map(({ request: each }) => setup.bodies.read(each, size));
  const { request } = await setup.send("Content-Length: 4", "abcd");
  assert.deepEqual(await setup.bodies.read(request, size), { status: 503, text: "too many concurrent request bodies" });
  first.socket.write("cd");
  assert.equal(await reading[0], 4);
  const again = await setup.send("Content-Length: 4", "abcd");
  assert.equal(await setup.bodies.read(again.request, size), 4);
});

test("bodies are 503 while the memory budget is exhausted", async (t) => {
  const setup = await setUp(t);
  setup.budget.part("something else").set(900_000);
  const { request } = await setup.send("Content-Length: 4", "abcd");
  assert.deepEqual(await setup.bodies.read(request, size), { status: 503, text: "too many concurrent request bodies" });
});

test("a body is charged to the memory budget until it has been used", async (t) => {
  const setup = await setUp(t);
  const { request } = await setup.send("Content-Length: 700", "x".repeat(700));
  let use: (value: string) => void = () => undefined;
  const started = new Promise<void>((resolve) => {
    void setup.bodies
      .read(request, () => {
        resolve();
        return new Promise<string>((done) => (use = done));
      })
      .then((value) => assert.equal(value, "used"));
  });
  await started;
  assert.deepEqual([held(setup), setup.budget.use.parts["bodies"]], [700, 700]);
  use("used");
  while (held(setup) > 0) await new Promise((resolve) => setImmediate(resolve));
});

test("a slow body is 408, an incomplete one 400; both release their memory", async (t) => {
  const setup = await setUp(t, 50);
  const slow = await setup.send("Content-Length: 10", "abc");
  assert.deepEqual(await setup.bodies.read(slow.request, size), {
    status: 408,
    text: "the body must arrive within 50 ms",
  });
  const patient = await setUp(t);
  const cut = await patient.send("Content-Length: 10", "abc");
  const result = patient.bodies.read(cut.request, size);
  cut.socket.destroy();
  assert.deepEqual(await result, { status: 400, text: "the body is incomplete" });
  for (const each of [setup, patient]) assert.equal(held(each), 0);
});

test("small chunks are copied, so that they do not keep the read buffer in memory", async (t) => {
  const setup = await setUp(t);
  const { request } = await setup.send("Transfer-Encoding: chunked", "1\r\nx\r\n".repeat(500), "0\r\n\r\n");
  const body = await setup.bodies.read(request, async (bytes) => bytes.toString());
  assert.equal(body, "x".repeat(500));
});
