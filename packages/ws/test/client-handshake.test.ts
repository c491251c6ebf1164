// What a client accepts and refuses in a response, and the events of the handshake.
import assert from "node:assert/strict";
import { once } from "node:events";
import type { ClientRequest, IncomingMessage } from "node:http";
import { onEach, test, type Socket } from "./support/implementations.ts";
import { closing, event, listen, listenHttp, terminateAfter } from "./support/pairs.ts";
import { accepting, frame, OPCODE, wireServer } from "./support/wire.ts";

onEach("client handshake", (ws) => {
  for (const [title, respond, options, expected] of [
    ["without Upgrade", accepting({ Upgrade: "foo" }), {}, "Invalid Upgrade header"],
    ["with a wrong accept key", accepting({ "Sec-WebSocket-Accept": "x" }), {}, "Invalid Sec-WebSocket-Accept header"],
    ["with no accept key", accepting({ "Sec-WebSocket-Accept": undefined }), {}, "Invalid Sec-WebSocket-Accept header"],
    [
      "with a subprotocol that was not requested",
      accepting({ "Sec-WebSocket-Protocol": "a" }),
      {},
      "Server sent a subprotocol but none was requested",
    ],
    [
      "with another subprotocol",
      accepting({ "Sec-WebSocket-Protocol": "b" }),
      { protocols: ["a"] },
      "Server sent an invalid subprotocol",
    ],
    ["without the requested subprotocol", accepting(), { protocols: ["a"] }, "Server sent no subprotocol"],
    [
      "with an extension that was not requested",
      accepting({ "Sec-WebSocket-Extensions": "permessage-deflate" }),
      { perMessageDeflate: false },
      "Server sent a Sec-WebSocket-Extensions header but no extension was requested",
    ],
    [
      "with another extension",
      accepting({ "Sec-WebSocket-Extensions": "foo" }),
      {},
      "Server indicated an extension that was not requested",
    ],
    [
      "with a malformed extension",
      accepting({ "Sec-WebSocket-Extensions": "permessage-deflate;" }),
      {},
      "Invalid Sec-WebSocket-Extensions header",
    ],
    [
      "with an unknown parameter of permessage-deflate",
      accepting({ "Sec-WebSocket-Extensions": "permessage-deflate; foo=1" }),
      {},
      "Invalid Sec-WebSocket-Extensions header",
    ],
    [
      "with window bits that were not offered",
      accepting({ "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits=10" }),
      { perMessageDeflate: { clientMaxWindowBits: false } },
      "Invalid Sec-WebSocket-Extensions header",
    ],
  ] as const) {
    test(`refuses a response ${title}`, async (t) => {
      const { url } = await wireServer(t, respond);
      const client = new ws.WebSocket(url, options);
      const { code, errors } = await closing(client);
      assert.equal(code, 1006);
      assert.deepEqual(
        errors.map((error) => error.message),
        [expected],
      );
      assert.equal(client.readyState, ws.WebSocket.CLOSED);
    });
  }

  test("an empty subprotocol in the response is refused", async (t) => {
    const { url } = await wireServer(t, accepting({ "Sec-WebSocket-Protocol": "" }));
    const { errors } = await closing(new ws.WebSocket(url, ["a"]));
    assert.equal(errors[0]?.message, "Server sent an invalid subprotocol");
  });

  test("an unexpected status is an error", async (t) => {
    const { port } = await listenHttp(t, (_request, response) => response.writeHead(401).end());
    const { code, errors } = await closing(new ws.WebSocket(`ws://127.0.0.1:${port}`));
    assert.equal(code, 1006);
    assert.equal(errors[0]?.message, "Unexpected server response: 401");
  });

  test("unexpected-response has the request and the response, and replaces the error", async (t) => {
    const { port } = await listenHttp(t, (_request, response) =>
      response.writeHead(401, { "X-Why": "because" }).end("details"),
    );
    const client = new ws.WebSocket(`ws://127.0.0.1:${port}`);
    let errors = 0;
    client.on("error", () => errors++);
    const [request, response] = (await event(client, "unexpected-response")) as [ClientRequest, IncomingMessage];
    assert.equal(response.statusCode, 401);
    assert.equal(response.headers["x-why"], "because");
    assert.equal(typeof request.destroy, "function");
    let body = "";
    for await (const chunk of response) body += String(chunk);
    assert.equal(body, "details");
    assert.equal(errors, 0);
    assert.equal(client.readyState, ws.WebSocket.CONNECTING);
  });

  test("a request destroyed in unexpected-response is followed by error and close", async (t) => {
    const { port } = await listenHttp(t, (_request, response) => response.writeHead(401).write("part"));
    const client = new ws.WebSocket(`ws://127.0.0.1:${port}`);
    client.on("unexpected-response", (request: ClientRequest) => request.destroy(new Error("mine")));
    const { code, errors } = await closing(client);
    assert.deepEqual([code, errors[0]?.message], [1006, "mine"]);
  });

  test("upgrade is emitted with the response before open", async (t) => {
    const { url, server } = await listen(t, ws);
    server.on("headers", (headers: string[]) => headers.push("Set-Cookie: a=b", "Set-Cookie: c=d"));
    const client = new ws.WebSocket(url);
    terminateAfter(t, client);
    const order: string[] = [];
    client.on("upgrade", (response: IncomingMessage) => {
      order.push("upgrade");
      assert.equal(response.statusCode, 101);
      assert.deepEqual(response.headers["set-cookie"], ["a=b", "c=d"]);
      assert.equal(client.readyState, ws.WebSocket.CONNECTING);
    });
    client.on("open", () => order.push("open"));
    await event(client, "open");
    assert.deepEqual(order, ["upgrade", "open"]);
  });

  test("a socket closed in upgrade does not open", async (t) => {
    const { url } = await listen(t, ws);
    const client = new ws.WebSocket(url);
    client.on("upgrade", () => client.close()).on("open", () => assert.fail("opened"));
    const { code, errors } = await closing(client);
    assert.equal(code, 1006);
    assert.equal(errors[0]?.message, "WebSocket was closed before the connection was established");
  });

  test("messages that arrive with the response are received by listeners added in open", async (t) => {
    const { url } = await wireServer(t, accepting(), frame(OPCODE.text, "early"));
    const client = new ws.WebSocket(url);
    terminateAfter(t, client);
    const text = await new Promise((resolve) =>
      client.on("open", () => client.on("message", (data: Buffer) => resolve(data.toString()))),
    );
    assert.equal(text, "early");
  });

  test("protocol and extensions are those of the response", async (t) => {
    const { url } = await wireServer(
      t,
      accepting({ "Sec-WebSocket-Protocol": "b", "Sec-WebSocket-Extensions": "permessage-deflate" }),
    );
    const client = new ws.WebSocket(url, ["a", "b"]);
    terminateAfter(t, client);
    await event(client, "open");
    assert.equal(client.protocol, "b");
    assert.equal(client.extensions, "permessage-deflate");
  });

  for (const act of ["close", "terminate"] as const) {
    test(`${act} while connecting is an error and a close with 1006`, async (t) => {
      const { url } = await listen(t, ws);
      const client = new ws.WebSocket(url);
      const done = closing(client);
      client[act]();
      assert.equal(client.readyState, ws.WebSocket.CLOSING);
      const { code, errors } = await done;
      assert.equal(code, 1006);
      assert.deepEqual(
        errors.map((error) => error.message),
        ["WebSocket was closed before the connection was established"],
      );
    });
  }

  test("a connection that ends before a response is an error", async (t) => {
    const { url, next } = await wireServer(t, () => "");
    const client = new ws.WebSocket(url);
    const done = closing(client);
    (await next()).socket.end();
    const { code, errors } = await done;
    assert.deepEqual([code, errors[0]?.message, errors[0]?.code], [1006, "socket hang up", "ECONNRESET"]);
  });
});

onEach("redirects", (ws) => {
  test("are not followed by default", async (t) => {
    const { port } = await listenHttp(t, (_request, response) => response.writeHead(302, { Location: "/" }).end());
    const { errors } = await closing(new ws.WebSocket(`ws://127.0.0.1:${port}`));
    assert.equal(errors[0]?.message, "Unexpected server response: 302");
  });

  test("followRedirects follows them and emits redirect with the URL and the request", async (t) => {
    const { url } = await listen(t, ws);
    const { http, port } = await listenHttp(t);
    http.on("upgrade", (_request, socket) =>
      socket.end(`HTTP/1.1 302 Found\r\nLocation: ${url}/target\r\nConnection: close\r\n\r\n`),
    );
    const client = new ws.WebSocket(`ws://127.0.0.1:${port}`, { followRedirects: true });
    terminateAfter(t, client);
    const redirects: unknown[][] = [];
    client.on("redirect", (...args: unknown[]) => redirects.push(args));
    await once(client, "open");
    assert.equal(client.url, `${url}/target`);
    assert.equal(client._redirects, 1);
    assert.equal(redirects.length, 1);
    assert.equal(redirects[0]?.[0], `${url}/target`);
    assert.equal(typeof (redirects[0]?.[1] as ClientRequest | undefined)?.setHeader, "function");
  });

  test("maxRedirects limits them", async (t) => {
    const { port } = await listenHttp(t, (_request, response) => response.writeHead(302, { Location: "/" }).end());
    const client = new ws.WebSocket(`ws://127.0.0.1:${port}`, { followRedirects: true, maxRedirects: 1 });
    const { code, errors } = await closing(client);
    assert.deepEqual([code, errors[0]?.message], [1006, "Maximum redirects exceeded"]);
    assert.equal(client._redirects, 2);
  });

  test("a redirect to an invalid address is an error and a close", async (t) => {
    const { port } = await listenHttp(t, (_request, response) => response.writeHead(302, { Location: "ws://" }).end());
    const client = new ws.WebSocket(`ws://127.0.0.1:${port}`, { followRedirects: true });
    const { code, errors } = await closing(client);
    assert.deepEqual([code, errors[0]?.name, errors[0]?.message], [1006, "SyntaxError", "Invalid URL: ws://"]);
  });

  test("a redirect to a fragment is an error and a close", async (t) => {
    const { port } = await listenHttp(t, (_request, response) => response.writeHead(302, { Location: "/#x" }).end());
    const client = new ws.WebSocket(`ws://127.0.0.1:${port}`, { followRedirects: true });
    const { errors } = await closing(client);
    assert.equal(errors[0]?.message, "The URL contains a fragment identifier");
  });

  test("credentials are sent to the same host and not to another one", async (t) => {
    const { server, url, port: target } = await listen(t, ws);
    const { http, port } = await listenHttp(t);
    http.on("upgrade", (request, socket) => {
      const location = request.url === "/same" ? "/again" : url;
      if (request.url === "/again") {
        assert.equal(request.headers.authorization, "Bearer x");
        socket.end(`HTTP/1.1 302 Found\r\nLocation: ${url}\r\nConnection: close\r\n\r\n`);
      } else socket.end(`HTTP/1.1 302 Found\r\nLocation: ${location}\r\nConnection: close\r\n\r\n`);
    });
    assert.notEqual(target, port);
    const client = new ws.WebSocket(`ws://127.0.0.1:${port}/same`, {
      followRedirects: true,
      headers: { Authorization: "Bearer x", Cookie: "a=b", "X-Other": "1" },
    });
    terminateAfter(t, client);
    const [, request] = (await once(server, "connection")) as [Socket, IncomingMessage];
    assert.equal(request.headers.authorization, undefined);
    assert.equal(request.headers.cookie, undefined);
    assert.equal(request.headers["x-other"], "1");
  });

  test("headers that a redirect listener sets are sent", async (t) => {
    const { server, url } = await listen(t, ws);
    const { port } = await listenHttp(t, (_request, response) => response.writeHead(302, { Location: url }).end());
    const client = new ws.WebSocket(`ws://127.0.0.1:${port}`, { followRedirects: true, headers: { Cookie: "a=b" } });
    terminateAfter(t, client);
    client.on("redirect", (_url: string, request: ClientRequest) => {
      assert.equal(request.getHeader("cookie"), "a=b"); // with a listener, headers are its business
      request.setHeader("Cookie", "c=d");
    });
    const [, request] = (await once(server, "connection")) as [Socket, IncomingMessage];
    assert.equal(request.headers.cookie, "c=d");
  });
});
