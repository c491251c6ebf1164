// The HTTP API of `tungstate serve`: the resources that a caller without a key can use.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectTcp, type Socket } from "node:net";
import { after, before, describe, test } from "node:test";
import { Server } from "../support/program.ts";

const KEY = "a key of sixteen characters or more";
const BODY = `{"channel":"public:a","data":1}`;

for (const workers of ["1", "2"]) {
  describe(`the HTTP API with --workers ${workers}`, () => {
    let server: Server;
    before(async () => (server = await Server.start("--api-key", KEY, "--workers", workers)));
    after(() => server[Symbol.asyncDispose]());

    const open = async (...lines: readonly string[]): Promise<Socket> => {
      const socket = connectTcp(server.port, "127.0.0.1");
      await once(socket, "connect");
      socket
        .setEncoding("latin1")
        .write(`POST /api/publish HTTP/1.1\r\nHost: localhost\r\n${lines.join("\r\n")}\r\n\r\n`);
      return socket;
    };
    const read = async (socket: Socket, enough: RegExp): Promise<string> => {
      let text = "";
      for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
        text += chunk;
        if (enough.test(text)) break;
      }
      return text;
    };

    for (const [title, lines] of [
      ["no key", []],
      ["a wrong key", ["X-API-Key: not the key of this server"]],
    ] as const) {
      test(`answers 401 before any of the body arrives: ${title}`, async () => {
        for (const declared of ["Content-Length: 4000000", "Transfer-Encoding: chunked"]) {
          const socket = await open(...lines, declared);
          assert.match(await read(socket, /\}$/), /^HTTP\/1\.1 401 [^]*"code":101/);
          socket.destroy();
        }
      });

      test(`sends no 100 Continue: ${title}`, async () => {
        const socket = await open(...lines, "Content-Length: 31", "Expect: 100-continue");
        assert.match(await read(socket, /\}$/), /^HTTP\/1\.1 401 /);
        socket.destroy();
      });
    }

    test("sends 100 Continue for a valid key, then reads the body", async () => {
      const socket = await open(`X-API-Key: ${KEY}`, `Content-Length: ${BODY.length}`, "Expect: 100-continue");
      assert.equal(await read(socket, /\r\n\r\n/), "HTTP/1.1 100 Continue\r\n\r\n");
      socket.write(BODY);
      assert.match(await read(socket, /\}$/), /^HTTP\/1\.1 200 [^]*"offset":1/);
      socket.destroy();
    });

    test("serves the next request on a connection after an unauthorized one", async () => {
      const socket = await open(`Content-Length: ${BODY.length}`);
      await read(socket, /\}$/);
      socket.write(`${BODY}GET /health/ready HTTP/1.1\r\nHost: localhost\r\n\r\n`);
      assert.match(await read(socket, /\}$/), /^HTTP\/1\.1 200 [^]*"ready"/);
      socket.destroy();
    });

    test("reads 64 bodies at the same time, answers 503 to more, and charges all to the memory budget", async () => {
      const sockets = await Promise.all(
        Array.from({ length: 160 }, () => open(`X-API-Key: ${KEY}`, "Content-Length: 400000")),
      );
      for (const socket of sockets) socket.write("x".repeat(100_000));
      // the limit of 64 is for each worker
      const refused = 160 - 64 * Number(workers);
      const answers = sockets.map((socket) => read(socket, /\n$/));
      let answered = 0;
      await new Promise<void>((resolve) => {
        for (const answer of answers) {
          void answer.then(
            (text) => {
              if (text.startsWith("HTTP/1.1 503") && ++answered === refused) resolve();
            },
            () => undefined, // destroyed below while it was being read
          );
        }
      });
      let held = 0;
      while (held < 6_000_000) held = await server.metric('tungstate_memory_part_bytes{part="bodies"}');
      for (const socket of sockets) socket.destroy();
      while (held > 0) held = await server.metric('tungstate_memory_part_bytes{part="bodies"}');
    });
  });
}

test("answers 404 to /api/ paths without --api-key", async () => {
  await using server = await Server.start();
  for (const method of ["GET", "POST", "PUT"]) {
    const response = await fetch(`${server.url}/api/publish`, { method });
    assert.deepEqual([response.status, response.headers.get("allow")], [404, null], method);
  }
});

test("answers 405 to other methods with --api-key", async () => {
  await using server = await Server.start("--api-key", KEY);
  for (const method of ["GET", "PUT", "DELETE", "OPTIONS"]) {
    const response = await fetch(`${server.url}/api/publish`, { method });
    assert.deepEqual([response.status, response.headers.get("allow")], [405, "POST"], method);
  }
});
