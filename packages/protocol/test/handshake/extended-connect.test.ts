import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { clientDeflate, serverDeflate } from "../../src/deflate/negotiation.ts";
import { ConnectHandshake, type ConnectHandshakeOptions } from "../../src/handshake/connect-handshake.ts";
import {
  acceptConnect,
  checkConnect,
  type ConnectRequest,
  type Http2Fields,
  isExtendedConnect,
  refuseConnect,
} from "../../src/handshake/extended-connect.ts";
import { buildRefusal, refusalFor } from "../../src/handshake/refusal.ts";

/** The example of RFC 8441 §5.1. */
const REQUEST: Http2Fields = [
  [":method", "CONNECT"],
  [":protocol", "websocket"],
  [":scheme", "https"],
  [":path", "/chat"],
  [":authority", "server.example.com"],
  ["sec-websocket-protocol", "chat, superchat"],
  ["sec-websocket-extensions", "permessage-deflate"],
  ["sec-websocket-version", "13"],
  ["origin", "http://www.example.com"],
];

/** The request with another value of a field; undefined: without it. */
function changed(name: string, value: string | undefined, ...more: Http2Fields): Http2Fields {
  const kept = REQUEST.filter(([each]) => each !== name);
  const fields = value === undefined ? kept : [[name, value] as const, ...kept];
  // pseudo-header fields come first
  return [
    ...fields.filter(([each]) => each.startsWith(":")),
    ...fields.filter(([each]) => !each.startsWith(":")),
    ...more,
  ];
}

function valid(result: ReturnType<typeof checkConnect>): ConnectRequest {
  if (result instanceof Error) throw result;
  return result;
}

describe("an extended CONNECT", () => {
  it("has one Cookie field, however the client has split it", () => {
    // RFC 9113 §8.2.3
    const { headers } = valid(
      checkConnect([...REQUEST, ["cookie", "a=1"], ["x", "a"], ["cookie", "b=2; c=3"], ["x", "b"], ["cookie", "d=4"]]),
    );
    assert.deepEqual(headers.getAll("cookie"), ["a=1; b=2; c=3; d=4"]);
    assert.deepEqual(headers.getAll("x"), ["a", "b"]);
    assert.equal(valid(checkConnect([...REQUEST, ["cookie", "a=1"]])).headers.get("cookie"), "a=1");
  });

  it("has these parts", () => {
    const { headers, ...rest } = valid(checkConnect(REQUEST));
    assert.equal(headers.has(":path"), false);
    assert.equal(headers.get("Origin"), "http://www.example.com");
    assert.deepEqual(rest, {
      method: "CONNECT",
      encrypted: true,
      target: "/chat",
      host: "server.example.com",
      origin: "http://www.example.com",
      protocols: ["chat", "superchat"],
      offers: [{ name: "permessage-deflate", params: [] }],
    });
  });

  it("is one with :protocol, and only with it", () => {
    assert.equal(isExtendedConnect(REQUEST), true);
    assert.equal(isExtendedConnect(changed(":protocol", undefined)), false);
  });

  const wrong: readonly (readonly [what: string, fields: Http2Fields, code: string, status: number])[] = [
    ["method GET", changed(":method", "GET"), "METHOD_NOT_CONNECT", 405],
    ["method in lower case", changed(":method", "connect"), "METHOD_NOT_CONNECT", 405],
    ["no method", changed(":method", undefined), "METHOD_NOT_CONNECT", 405],
    ["no protocol", changed(":protocol", undefined), "UNSUPPORTED_PROTOCOL", 501],
    ["another protocol", changed(":protocol", "connect-udp"), "UNSUPPORTED_PROTOCOL", 501],
    ["protocol in upper case", changed(":protocol", "WebSocket"), "UNSUPPORTED_PROTOCOL", 501],
    ["no scheme", changed(":scheme", undefined), "MALFORMED_HEAD", 400],
    ["scheme wss", changed(":scheme", "wss"), "MALFORMED_HEAD", 400],
    ["no path", changed(":path", undefined), "MALFORMED_HEAD", 400],
    ["empty path", changed(":path", ""), "MALFORMED_HEAD", 400],
    ["path *", changed(":path", "*"), "MALFORMED_HEAD", 400],
    ["absolute path", changed(":path", "https://server.example.com/chat"), "MALFORMED_HEAD", 400],
    ["path with a space", changed(":path", "/a b"), "MALFORMED_HEAD", 400],
    ["path with a fragment", changed(":path", "/a#b"), "MALFORMED_HEAD", 400],
    ["no authority", changed(":authority", undefined), "INVALID_HOST", 400],
    ["empty authority", changed(":authority", ""), "INVALID_HOST", 400],
    ["authority with a user", changed(":authority", "me@server"), "INVALID_HOST", 400],
    ["another Host", [...REQUEST, ["host", "other.example.com"]], "INVALID_HOST", 400],
    ["unknown pseudo-header field", [[":version", "2"], ...REQUEST], "MALFORMED_HEAD", 400],
    ["status in a request", [[":status", "200"], ...REQUEST], "MALFORMED_HEAD", 400],
    ["path twice", [[":path", "/"], ...REQUEST], "MALFORMED_HEAD", 400],
    ["pseudo-header field behind a field", [...changed(":path", undefined), [":path", "/chat"]], "MALFORMED_HEAD", 400],
    ["Connection", [...REQUEST, ["connection", "upgrade"]], "MALFORMED_HEAD", 400],
    ["Upgrade", [...REQUEST, ["upgrade", "websocket"]], "MALFORMED_HEAD", 400],
    ["Keep-Alive", [...REQUEST, ["keep-alive", "1"]], "MALFORMED_HEAD", 400],
    ["Proxy-Connection", [...REQUEST, ["proxy-connection", "close"]], "MALFORMED_HEAD", 400],
    ["Transfer-Encoding", [...REQUEST, ["transfer-encoding", "chunked"]], "MALFORMED_HEAD", 400],
    ["a body length", [...REQUEST, ["content-length", "5"]], "UNEXPECTED_BODY", 400],
    ["no version", changed("sec-websocket-version", undefined), "UNSUPPORTED_VERSION", 426],
    ["version 8", changed("sec-websocket-version", "8"), "UNSUPPORTED_VERSION", 426],
    ["two origins", [...REQUEST, ["origin", "http://b"]], "INVALID_ORIGIN", 400],
    ["a subprotocol twice", changed("sec-websocket-protocol", "a, a"), "INVALID_SUBPROTOCOL", 400],
    ["extensions that are none", changed("sec-websocket-extensions", "a; ="), "INVALID_EXTENSIONS", 400],
    ["prototype names", [[":__proto__", "x"], ...REQUEST], "MALFORMED_HEAD", 400],
  ];
  for (const [what, fields, code, status] of wrong) {
    it(`is refused with ${what}: ${code}`, () => {
      const error = checkConnect(fields);
      assert.ok(error instanceof Error);
      assert.equal(error.code, code);
      assert.equal(refusalFor(error).status, status);
    });
  }

  it("may have a Host that equals :authority, and a Content-Length of 0", () => {
    valid(checkConnect([...REQUEST, ["host", "server.example.com"], ["content-length", "0"]]));
  });

  it("ignores Sec-WebSocket-Key, which HTTP/2 does not use", () => {
    valid(checkConnect([...REQUEST, ["sec-websocket-key", "not a key"]]));
  });
});

describe("the response to an extended CONNECT", () => {
  const request = valid(checkConnect(REQUEST));

  it("has status 200, the agreement, no Key and no Accept, and names in lower case", () => {
    const accepted = acceptConnect(
      request,
      { extensions: [serverDeflate()] },
      { protocol: "chat", headers: { "X-Served-By": "a" } },
    );
    assert.equal(accepted.protocol, "chat");
    assert.equal(accepted.extensions[0]?.name, "permessage-deflate");
    assert.deepEqual(accepted.fields, [
      [":status", "200"],
      ["sec-websocket-protocol", "chat"],
      ["sec-websocket-extensions", accepted.extensionsHeader],
      ["x-served-by", "a"],
    ]);
  });

  it("throws for a subprotocol that was not offered, and for fields that cannot be sent", () => {
    assert.throws(() => acceptConnect(request, {}, { protocol: "other" }), { code: "INVALID_ARGUMENT" });
    assert.throws(() => acceptConnect(request, {}, { headers: { a: "b\r\nc: d" } }), { code: "INVALID_ARGUMENT" });
    assert.throws(() => acceptConnect(request, {}, { headers: { Connection: "close" } }), { code: "INVALID_ARGUMENT" });
  });

  it("refuses without the fields of a connection", () => {
    const response = buildRefusal({ status: 426, headers: { "Retry-After": "5" }, body: "no" });
    assert.deepEqual(refuseConnect(response), [
      [":status", "426"],
      ["content-length", "2"],
      ["sec-websocket-version", "13"],
      ["content-type", "text/plain; charset=utf-8"],
      ["retry-after", "5"],
    ]);
  });
});

describe("the client's extended CONNECT", () => {
  const OPTIONS: ConnectHandshakeOptions = {
    host: "server.example.com",
    target: "/chat?room=1",
    encrypted: true,
    protocols: ["chat"],
    extensions: [clientDeflate()],
    headers: { "X-Token": "t" },
  };

  it("passes the server's check, for https and for http", () => {
    for (const encrypted of [true, false]) {
      const { fields } = new ConnectHandshake({ ...OPTIONS, encrypted, origin: "https://a.example" });
      const request = valid(checkConnect(fields));
      assert.equal(request.encrypted, encrypted);
      assert.deepEqual(
        [request.target, request.host, request.origin, request.protocols, request.headers.get("x-token")],
        ["/chat?room=1", "server.example.com", "https://a.example", ["chat"], "t"],
      );
      assert.ok(fields.every(([name]) => name === name.toLowerCase()));
    }
  });

  it("agrees with what the server chose", () => {
    const handshake = new ConnectHandshake(OPTIONS);
    const request = valid(checkConnect(handshake.fields));
    const accepted = acceptConnect(request, { extensions: [serverDeflate()] }, { protocol: "chat" });
    const result = handshake.receive(accepted.fields);
    assert.ok(result.state === "open");
    assert.equal(result.protocol, "chat");
    assert.equal(result.extensionsHeader, accepted.extensionsHeader);
    assert.equal(result.headers.has(":status"), false);
  });

  it("has no header fields that belong to a connection of HTTP/1.1", () => {
    for (const [name, value] of [
      ["Keep-Alive", "timeout=5"],
      ["Proxy-Connection", "keep-alive"],
      ["HTTP2-Settings", "AAA"],
      ["TE", "gzip"],
    ] as const) {
      assert.throws(() => new ConnectHandshake({ ...OPTIONS, headers: { [name]: value } }), {
        code: "INVALID_ARGUMENT",
        message: new RegExp(name, "i"),
      });
    }
    const { fields } = new ConnectHandshake({ ...OPTIONS, headers: { TE: "trailers" } });
    assert.ok(fields.some(([name, value]) => name === "te" && value === "trailers"));
  });

  const responses: readonly (readonly [what: string, fields: Http2Fields, state: string, code: string])[] = [
    ["status 404", [[":status", "404"]], "rejected", "UNEXPECTED_STATUS"],
    ["status 101", [[":status", "101"]], "rejected", "UNEXPECTED_STATUS"],
    ["status 204", [[":status", "204"]], "rejected", "UNEXPECTED_STATUS"],
    ["no status", [["server", "a"]], "failed", "MALFORMED_HEAD"],
    [
      "two statuses",
      [
        [":status", "200"],
        [":status", "200"],
      ],
      "failed",
      "MALFORMED_HEAD",
    ],
    ["a status that is no number", [[":status", "20x"]], "failed", "MALFORMED_HEAD"],
    [
      "an extension not offered",
      [
        [":status", "200"],
        ["sec-websocket-extensions", "x"],
      ],
      "failed",
      "UNREQUESTED_EXTENSION",
    ],
    [
      "a subprotocol not offered",
      [
        [":status", "200"],
        ["sec-websocket-protocol", "x"],
      ],
      "failed",
      "UNREQUESTED_SUBPROTOCOL",
    ],
  ];
  for (const [what, fields, state, code] of responses) {
    it(`takes ${what} as ${state}: ${code}`, () => {
      const result = new ConnectHandshake(OPTIONS).receive(fields);
      assert.equal(result.state, state);
      assert.ok(result.state !== "open");
      assert.equal(result.error.code, code);
    });
  }

  it("throws at once for what cannot be sent", () => {
    for (const wrong of [
      { target: "chat" },
      { host: "a b" },
      { protocols: ["a", "a"] },
      { headers: { "Sec-WebSocket-Key": "x" } },
      { origin: "a\nb" },
    ]) {
      assert.throws(() => new ConnectHandshake({ ...OPTIONS, ...wrong }), { code: "INVALID_ARGUMENT" });
    }
  });
});
