import assert from "node:assert/strict";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { Duplex } from "node:stream";
import { describe, test, type TestContext } from "node:test";
import { accept } from "../../src/server/accept.ts";
import { WebSocketServer } from "../../src/server/server.ts";
import type { ServerListenOptions } from "../../src/server/options.ts";
import { memoryPipe } from "../../src/testing/memory-pipe.ts";
import type { ByteStream } from "../../src/transport/byte-stream.ts";
import { selfSigned } from "../support/pairs.ts";
import { Raw, upgradeRequest } from "../support/raw.ts";
import { routes } from "../support/routes.ts";
import { end } from "../support/server.ts";

const REQUEST = upgradeRequest("/chat");

/** What a client has sent when it ends its half of the stream. */
const CUT: Readonly<Record<string, string>> = {
  "after a byte": REQUEST.slice(0, 1),
  "in the request line": REQUEST.slice(0, 9),
  "behind the request line": "GET /chat HTTP/1.1\r\n",
  "in a header field": REQUEST.slice(0, 60),
  "before the last byte": REQUEST.slice(0, -1),
  "in the request line of another method": "POST /ch",
};

/** A client of a server, and the number of accepted connections. */
interface Started {
  readonly raw: Raw;
  accepted(): number;
}

type Start = (t: TestContext) => Promise<Started>;

const page: RequestListener = (_request, response) => void response.end("page");

async function listen(t: TestContext, where: ServerListenOptions): Promise<Started> {
  const server = new WebSocketServer();
  t.after(() => end(server));
  const { port } = (await server.listen(where)) as AddressInfo;
  const raw = Raw.to(t, { port }, where.tls === undefined ? undefined : selfSigned().cert);
  return { raw, accepted: () => server.connections.size };
}

async function acceptOn(t: TestContext, near: Duplex, far: ByteStream): Promise<Started> {
  t.after(() => near.destroy());
  let accepted = 0;
  accept(far).then(
    () => accepted++,
    () => undefined, // the client's end shows the rejection
  );
  return { raw: new Raw(near), accepted: () => accepted };
}

async function webStreams(t: TestContext): Promise<Started> {
  const there = new TransformStream<Uint8Array, Uint8Array>();
  const back = new TransformStream<Uint8Array, Uint8Array>();
  const near = Duplex.fromWeb({ readable: back.readable, writable: there.writable });
  return await acceptOn(t, near, { readable: there.readable, writable: back.writable });
}

const STARTS: Readonly<Record<string, Start>> = {
  ...Object.fromEntries(
    routes.map(({ name, start }) => [
      name,
      async (t: TestContext) => {
        const served = await start(t);
        return { raw: await served.raw(t), accepted: () => served.accepted.length };
      },
    ]),
  ),
  "a port of its own with http": (t) => listen(t, { http: page }),
  "a port of its own with TLS and http": (t) => listen(t, { http: createServer(page), tls: selfSigned() }),
  "accept on a memory pipe": (t) => acceptOn(t, ...memoryPipe()),
  "accept on Web streams": webStreams,
};

for (const [name, start] of Object.entries(STARTS)) {
  describe(`by ${name}, a client that ends its half of the stream within the head of its request`, () => {
    for (const [where, sent] of Object.entries(CUT)) {
      test(`gets 400: ${where}`, async (t) => {
        const { raw, accepted } = await start(t);
        raw.stream.end(sent);
        assert.equal((await raw.answer()).status, 400);
        await raw.gone();
        assert.equal(accepted(), 0);
      });
    }

    test("gets no response if it has sent nothing", async (t) => {
      const { raw } = await start(t);
      raw.stream.end();
      await raw.gone();
      assert.equal(raw.received.length, 0);
    });
  });
}
