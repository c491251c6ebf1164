// Responses of servers and proxies that deviate from RFC 9112 in ways that a user agent accepts.

import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";
import { WebSocketError } from "@tungstate/protocol";
import { HandshakeRejectedError } from "../../src/client/client.ts";
import { connect } from "../../src/client/connect.ts";
import { ConnectError } from "../../src/errors.ts";
import { reconnecting } from "../../src/reconnecting/reconnecting.ts";
import { take } from "../support/connected.ts";
import {
  type ClientRoute,
  clientRoutes,
  type Respond,
  respondingPort,
  type RouteOptions,
} from "../support/client-routes.ts";
import { frame, TEXT } from "../support/raw.ts";

const GREETING = frame(TEXT, "hello", { masked: false }).toString("latin1");

/** Opens a connection over a route and reads the message directly after the response. */
async function opens(t: TestContext, route: ClientRoute, respond: Respond, options?: RouteOptions): Promise<void> {
  const connection = await route.open(
    t,
    (request, accept) => `${String(respond(request, accept))}${GREETING}`,
    options,
  );
  assert.deepEqual(await take(connection, 1), ["hello"]);
  connection.terminate();
}

async function failure(t: TestContext, route: ClientRoute, respond: Respond): Promise<WebSocketError> {
  const error: unknown = await route.open(t, respond).then(
    (connection) => {
      connection.terminate();
      return undefined;
    },
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof WebSocketError, String(error));
  return error;
}

const FIELDS = (accept: string): string =>
  `Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n`;

const ACCEPTED: Readonly<Record<string, (accept: string) => string>> = {
  "no space behind the status": (accept) => `HTTP/1.1 101\r\n${FIELDS(accept)}\r\n`,
  "no reason phrase": (accept) => `HTTP/1.1 101 \r\n${FIELDS(accept)}\r\n`,
  "a higher minor version": (accept) => `HTTP/1.2 101 Switching Protocols\r\n${FIELDS(accept)}\r\n`,
  "an interim response of that form before it": (accept) =>
    `HTTP/1.1 100\r\n\r\nHTTP/1.1 103\r\nLink: </a>;\r\n rel=preload\r\n\r\nHTTP/1.1 101\r\n${FIELDS(accept)}\r\n`,
  "folded lines": (accept) =>
    `HTTP/1.1 101\r\nUpgrade:\r\n websocket\r\nConnection: keep-alive,\r\n\t Upgrade\r\n` +
    `Sec-WebSocket-Accept: \r\n \r\n  ${accept}\r\nServer: a\r\n b\r\n\r\n`,
  "empty lists": (accept) =>
    `HTTP/1.1 101\r\n${FIELDS(accept)}Sec-WebSocket-Protocol:\r\nSec-WebSocket-Extensions: ,\r\nSec-WebSocket-Extensions:\r\n\r\n`,
};

// RFC 9112: a user agent may reject these, and what follows is not a connection
const REFUSED: Readonly<Record<string, (accept: string) => string>> = {
  "lines that end in LF": (accept) => `HTTP/1.1 101\r\n${FIELDS(accept)}\r\n`.replaceAll("\r\n", "\n"),
  "a folded line before the first field": (accept) => `HTTP/1.1 101\r\n X: y\r\n${FIELDS(accept)}\r\n`,
  "whitespace before a colon": (accept) => `HTTP/1.1 101\r\n${FIELDS(accept)}X : y\r\n\r\n`,
  "a status without a version": (accept) => `101 Switching Protocols\r\n${FIELDS(accept)}\r\n`,
  "a status of four digits": (accept) => `HTTP/1.1 1010\r\n${FIELDS(accept)}\r\n`,
};

for (const route of clientRoutes) {
  describe(`${route.name}: a response`, () => {
    for (const [name, response] of Object.entries(route.isText ? ACCEPTED : {})) {
      test(`with ${name} opens the connection`, async (t) => {
        const options = { protocols: ["chat"], compression: true };
        await opens(t, route, (_request, accept) => response(accept), options);
      });
    }

    for (const [name, response] of Object.entries(route.isText ? REFUSED : {})) {
      test(`with ${name} fails the handshake`, async (t) => {
        const error = await failure(t, route, (_request, accept) => response(accept));
        assert.equal(error.code, "MALFORMED_HEAD");
      });
    }

    for (const status of [route.isText ? 200 : 202, 302, 401, 403, 407, 426, 503]) {
      test(`of ${status} without a reason phrase, and folded, is reported with its status`, async (t) => {
        for (const version of ["1.0", "1.1"]) {
          const error = await failure(
            t,
            route,
            () => `HTTP/${version} ${status}\r\nWWW-Authenticate: Basic\r\n realm="a"\r\nContent-Length: 4\r\n\r\nwho?`,
          );
          assert.ok(error instanceof HandshakeRejectedError, String(error));
          const { response } = error;
          assert.deepEqual([response.status, response.reason], [status, ""]);
          assert.equal(response.headers.get("www-authenticate"), 'Basic realm="a"');
          assert.equal(Buffer.from(response.body).toString(), "who?");
        }
      });
    }
  });
}

describe("reconnecting", () => {
  const quick = { proxy: false, backoff: { initialDelay: 1, maxDelay: 1 } } as const;

  test("retries after a 503 without a reason phrase, and obeys a folded Retry-After", async (t) => {
    let asked = 0;
    const port = await respondingPort(t, (_request, accept) => {
      if (++asked > 1) return `HTTP/1.1 101\r\n${FIELDS(accept)}\r\n`;
      return "HTTP/1.1 503\r\nRetry-After:\r\n 0\r\nContent-Length: 0\r\n\r\n";
    });
    const connection = reconnecting(`ws://127.0.0.1:${port}/`, quick);
    t.after(() => connection.terminate());
    await connection.ready();
    assert.equal(asked, 2);
  });

  for (const status of [401, 403, 404]) {
    test(`stops at a ${status} without a reason phrase`, async (t) => {
      let asked = 0;
      const port = await respondingPort(t, () => {
        asked++;
        return `HTTP/1.1 ${status}\r\nContent-Length: 0\r\n\r\n`;
      });
      const connection = reconnecting(`ws://127.0.0.1:${port}/`, quick);
      const { error } = await connection.closed;
      assert.ok(error instanceof HandshakeRejectedError);
      assert.deepEqual([error.response.status, asked], [status, 1]);
    });
  }

  test("requests other credentials once after a 401 without a reason phrase, then gives up", async (t) => {
    let asked = 0;
    const port = await respondingPort(t, () => {
      asked++;
      return "HTTP/1.1 401\r\nContent-Length: 0\r\n\r\n";
    });
    const connection = reconnecting(`ws://127.0.0.1:${port}/`, { ...quick, headers: () => ({ Authorization: "x" }) });
    await assert.rejects(connection.ready(), { code: "UNEXPECTED_STATUS" });
    assert.equal(asked, 2);
  });
});

describe("a response of an HTTP proxy", () => {
  const through = (port: number): Promise<unknown> =>
    connect("ws://server.example/", { proxy: `http://user:secret@127.0.0.1:${port}` });

  for (const line of ["HTTP/1.1 200", "HTTP/1.0 200", "HTTP/1.1 200 ", "HTTP/1.2 204"]) {
    test(`${JSON.stringify(line)}, with folded fields, opens the tunnel`, async (t) => {
      const port = await respondingPort(t, (request, accept) =>
        request.startsWith("CONNECT ")
          ? `${line}\r\nProxy-Agent: a\r\n b\r\n\r\n`
          : `HTTP/1.1 101\r\n${FIELDS(accept)}\r\n${GREETING}`,
      );
      const connection = await connect("ws://server.example/", { proxy: `http://127.0.0.1:${port}` });
      assert.deepEqual(await take(connection, 1), ["hello"]);
      connection.terminate();
    });
  }

  for (const [status, code] of [
    [407, "PROXY_AUTH"],
    [401, "PROXY_AUTH"],
    [403, "PROXY_DENIED"],
    [429, "PROXY_FAILED"],
    [503, "PROXY_FAILED"],
    [999, "PROXY_FAILED"],
    [0, "PROXY_FAILED"],
  ] as const) {
    test(`${status} without a reason phrase is ${code}`, async (t) => {
      for (const version of ["1.0", "1.1"]) {
        const digits = String(status).padStart(3, "0");
        const port = await respondingPort(
          t,
          () => `HTTP/${version} ${digits}\r\nProxy-Authenticate: Basic\r\n realm="a"\r\n\r\n`,
        );
        await assert.rejects(through(port), (error: unknown) => {
          assert.ok(error instanceof ConnectError);
          assert.deepEqual([error.code, error.step], [code, "proxy"]);
          assert.match(error.message, new RegExp(`status ${status} `));
          if (code === "PROXY_AUTH")
            assert.ok(error.message.includes(JSON.stringify('Basic realm="a"')), error.message);
          return true;
        });
      }
    });
  }

  test("a 407 without a reason phrase stops reconnecting, a 503 does not", async (t) => {
    const statuses = [503, 503, 407];
    let asked = 0;
    const port = await respondingPort(t, () => `HTTP/1.1 ${statuses[asked++]}\r\n\r\n`);
    const connection = reconnecting("ws://server.example/", {
      proxy: `http://127.0.0.1:${port}`,
      backoff: { initialDelay: 1, maxDelay: 1 },
    });
    await assert.rejects(connection.ready(), { code: "PROXY_AUTH" });
    assert.equal(asked, 3);
  });
});
