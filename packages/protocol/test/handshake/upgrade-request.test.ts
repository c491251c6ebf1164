import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HeaderFields } from "../../src/handshake/header-fields.ts";
import { checkUpgrade, chooseProtocol, isWebSocketUpgrade } from "../../src/handshake/upgrade-request.ts";
import type { UpgradeHead, UpgradeRequest } from "../../src/handshake/upgrade-request.ts";
import { SAMPLE_KEY } from "./support.ts";

type Fields = readonly (readonly [string, string])[];

const FIELDS: Fields = [
  ["Host", "server.example.com"],
  ["Upgrade", "websocket"],
  ["Connection", "Upgrade"],
  ["Sec-WebSocket-Key", SAMPLE_KEY],
  ["Sec-WebSocket-Version", "13"],
];

/** A valid request, with these fields (undefined: removed) and these parts of its first line. */
function check(
  changes: Readonly<Record<string, string | undefined>>,
  line: Partial<UpgradeHead> = {},
  more: Fields = [],
): ReturnType<typeof checkUpgrade> {
  const fields = FIELDS.filter(([name]) => !Object.hasOwn(changes, name));
  const changed = Object.entries(changes).filter((pair): pair is [string, string] => pair[1] !== undefined);
  const headers = new HeaderFields([...fields, ...changed, ...more]);
  return checkUpgrade({ method: "GET", target: "/chat", version: "1.1", headers, ...line });
}

function accepted(result: ReturnType<typeof checkUpgrade>): UpgradeRequest {
  if (result instanceof Error) throw result;
  return result;
}

describe("an upgrade request", () => {
  it("has these parts", () => {
    const request = accepted(
      check({
        Origin: "http://example.com",
        "Sec-WebSocket-Protocol": "chat, superchat",
        "Sec-WebSocket-Extensions": "foo, bar; baz=2",
      }),
    );
    const { headers, ...rest } = request;
    assert.equal(headers.get("upgrade"), "websocket");
    assert.deepEqual(rest, {
      method: "GET",
      target: "/chat",
      host: "server.example.com",
      origin: "http://example.com",
      protocols: ["chat", "superchat"],
      offers: [
        { name: "foo", params: [] },
        { name: "bar", params: [["baz", "2"]] },
      ],
      key: SAMPLE_KEY,
    });
  });

  it("needs at most five fields", () => {
    const { origin, protocols, offers } = accepted(check({}));
    assert.deepEqual({ origin, protocols, offers }, { origin: undefined, protocols: [], offers: [] });
  });

  const fine: readonly (readonly [string, Readonly<Record<string, string>>, Fields?])[] = [
    ["a list of connection options", { Connection: "keep-alive, Upgrade" }],
    ["options in any case", { Connection: "UPGRADE", Upgrade: "WebSocket" }],
    ["options over several fields", { Connection: "keep-alive" }, [["connection", "upgrade"]]],
    ["several protocols to upgrade to", { Upgrade: "h2c, foo/1, websocket" }],
    ["protocols over several fields", { "Sec-WebSocket-Protocol": "a" }, [["sec-websocket-protocol", "b"]]],
    ["extensions over several fields", { "Sec-WebSocket-Extensions": "a" }, [["sec-websocket-extensions", "b"]]],
    ["a body of no bytes", { "Content-Length": "0" }],
    ["an empty Origin", { Origin: "" }],
  ];
  for (const [name, changes, more] of fine) it(`may have ${name}`, () => void accepted(check(changes, {}, more)));

  it("keeps the order of several fields", () => {
    const more: Fields = [["sec-websocket-protocol", "b, c"], ["SEC-WEBSOCKET-EXTENSIONS", "y"]]; // prettier-ignore
    const request = accepted(check({ "Sec-WebSocket-Protocol": "a", "Sec-WebSocket-Extensions": "x" }, {}, more));
    assert.deepEqual(request.protocols, ["a", "b", "c"]);
    assert.deepEqual(request.offers.map(({ name }) => name), ["x", "y"]); // prettier-ignore
  });

  for (const value of ["", "  ", ",", " ,\t, ,"]) {
    it(`with ${JSON.stringify(value)} as its lists offers nothing`, () => {
      const empty = { "Sec-WebSocket-Protocol": value, "Sec-WebSocket-Extensions": value };
      for (const more of [[], Object.entries(empty)]) {
        const { protocols, offers } = accepted(check(empty, {}, more));
        assert.deepEqual({ protocols, offers }, { protocols: [], offers: [] });
      }
    });
  }

  it("with a URL as target is for that URL's host, whatever Host is", () => {
    const { host, target } = accepted(check({ Host: "other.example" }, { target: "http://server.example.com:8080?x" }));
    assert.deepEqual({ host, target }, { host: "server.example.com:8080", target: "/?x" });
  });

  it("may name subprotocols like inherited properties", () => {
    const { protocols } = accepted(check({ "Sec-WebSocket-Protocol": "__proto__, constructor, toString" }));
    assert.deepEqual(protocols, ["__proto__", "constructor", "toString"]);
  });

  const wrong: readonly (readonly [
    string,
    Readonly<Record<string, string | undefined>>,
    string,
    number,
    Partial<UpgradeHead>?,
    Fields?,
  ])[] = [
    ["HTTP/1.0", {}, "UNSUPPORTED_HTTP_VERSION", 505, { version: "1.0" }],
    ["HTTP/2", {}, "UNSUPPORTED_HTTP_VERSION", 505, { version: "2.0" }],
    ["POST", {}, "METHOD_NOT_GET", 405, { method: "POST" }],
    ["get in lower case", {}, "METHOD_NOT_GET", 405, { method: "get" }],
    ["HEAD", {}, "METHOD_NOT_GET", 405, { method: "HEAD" }],
    ["another form of target", {}, "MALFORMED_HEAD", 400, { target: "*" }],
    ["a target with a user", {}, "MALFORMED_HEAD", 400, { target: "http://a@b/" }],
    ["no Host", { Host: undefined }, "INVALID_HOST", 400],
    ["an empty Host", { Host: "" }, "INVALID_HOST", 400],
    ["a Host that is none", { Host: "http://example.com" }, "INVALID_HOST", 400],
    ["two Hosts", {}, "INVALID_HOST", 400, {}, [["host", "server.example.com"]]],
    ["two Hosts and a URL", {}, "INVALID_HOST", 400, { target: "http://a/" }, [["host", "b"]]],
    ["no Upgrade", { Upgrade: undefined }, "NOT_AN_UPGRADE", 426],
    ["another Upgrade", { Upgrade: "h2c" }, "NOT_AN_UPGRADE", 426],
    ["a versioned Upgrade", { Upgrade: "websocket/13" }, "NOT_AN_UPGRADE", 426],
    ["no Connection", { Connection: undefined }, "NOT_AN_UPGRADE", 426],
    ["another Connection", { Connection: "keep-alive" }, "NOT_AN_UPGRADE", 426],
    [
      "no upgrade at all",
      { Upgrade: undefined, Connection: undefined, "Sec-WebSocket-Key": undefined, "Sec-WebSocket-Version": undefined },
      "NOT_AN_UPGRADE",
      426,
    ],
    ["a body", { "Content-Length": "5" }, "UNEXPECTED_BODY", 400],
    ["a length that is none", { "Content-Length": "00" }, "UNEXPECTED_BODY", 400],
    ["two lengths", { "Content-Length": "0" }, "UNEXPECTED_BODY", 400, {}, [["content-length", "0"]]],
    ["a body in chunks", { "Transfer-Encoding": "chunked" }, "UNEXPECTED_BODY", 400],
    ["no version", { "Sec-WebSocket-Version": undefined }, "UNSUPPORTED_VERSION", 426],
    ["version 8", { "Sec-WebSocket-Version": "8" }, "UNSUPPORTED_VERSION", 426],
    ["version 013", { "Sec-WebSocket-Version": "013" }, "UNSUPPORTED_VERSION", 426],
    ["a list of versions", { "Sec-WebSocket-Version": "13, 8" }, "UNSUPPORTED_VERSION", 426],
    ["two versions", {}, "UNSUPPORTED_VERSION", 426, {}, [["sec-websocket-version", "13"]]],
    [
      "another version with another key",
      { "Sec-WebSocket-Version": "25", "Sec-WebSocket-Key": "?" },
      "UNSUPPORTED_VERSION",
      426,
    ],
    ["no key", { "Sec-WebSocket-Key": undefined }, "INVALID_KEY", 400],
    ["a key of 15 bytes", { "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAA" }, "INVALID_KEY", 400],
    ["a key that is not base64", { "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZ!==" }, "INVALID_KEY", 400],
    ["two keys", {}, "INVALID_KEY", 400, {}, [["sec-websocket-key", SAMPLE_KEY]]],
    ["two Origins", { Origin: "http://a" }, "INVALID_ORIGIN", 400, {}, [["origin", "http://a"]]],
    ["a protocol that is no token", { "Sec-WebSocket-Protocol": "a b" }, "INVALID_SUBPROTOCOL", 400],
    ["a protocol twice", { "Sec-WebSocket-Protocol": "a, b, a" }, "INVALID_SUBPROTOCOL", 400],
    [
      "a protocol twice, over two fields",
      { "Sec-WebSocket-Protocol": "a" },
      "INVALID_SUBPROTOCOL",
      400,
      {},
      [["sec-websocket-protocol", "a"]],
    ],
    ["extensions that are malformed", { "Sec-WebSocket-Extensions": "a; b=" }, "INVALID_EXTENSIONS", 400],
  ];
  for (const [name, changes, code, status, line, more] of wrong) {
    it(`with ${name} is ${code}, ${status}`, () => {
      const result = check(changes, line, more);
      assert.ok(result instanceof Error);
      assert.deepEqual(
        { code: result.code, status: result.status, fault: result.fault },
        { code, status, fault: "peer" },
      );
    });
  }
});

describe("errors of an upgrade request", () => {
  const said: readonly (readonly [ReturnType<typeof check>, string])[] = [
    [check({}, { version: "1.0" }), 'got HTTP/"1.0"'],
    [check({}, { method: "POST" }), 'got "POST"'],
    [check({}, { target: "*" }), 'the target "*"'],
    [check({ Host: undefined }), "got none"],
    [check({ Host: "a b" }), 'got "a b"'],
    [check({}, {}, [["Host", "b"]]), 'got "server.example.com, b"'],
    [check({ Upgrade: undefined }), "Upgrade: got none"],
    [check({ Upgrade: "h2c" }), 'Upgrade: got "h2c"'],
    [check({ Connection: "keep-alive" }), 'Connection: got "keep-alive"'],
    [check({ "Sec-WebSocket-Version": "8" }), 'got "8"'],
    [check({ "Sec-WebSocket-Key": "?" }), 'got "?"'],
    [check({ "Sec-WebSocket-Key": undefined }), "got none"],
    [check({ Origin: "http://a" }, {}, [["Origin", "http://b"]]), 'got "http://a, http://b"'],
    [check({ "Sec-WebSocket-Protocol": "a, a" }), 'got "a, a"'],
    [check({ "Sec-WebSocket-Extensions": "\x1b" }), 'got "\\u001b"'],
  ];
  for (const [result, end] of said) {
    it(`are described as ${end}`, () => {
      assert.ok(result instanceof Error);
      assert.ok(result.message.endsWith(`: ${end}`), result.message);
    });
  }
});

describe("chooseProtocol", () => {
  it("uses the server's preference", () => {
    assert.equal(chooseProtocol(["a", "b", "c"], ["x", "c", "a"]), "c");
    assert.equal(chooseProtocol(["a"], ["A"]), undefined);
    assert.equal(chooseProtocol([], ["a"]), undefined);
    assert.equal(chooseProtocol(["a"], []), undefined);
    assert.equal(chooseProtocol(["constructor"], ["__proto__"]), undefined);
  });
});

describe("a request asks for an upgrade to WebSocket", () => {
  const asks = (upgrade: string | undefined, connection: string | undefined, version = "1.1"): boolean =>
    isWebSocketUpgrade({
      version,
      headers: { get: (name) => (name === "upgrade" ? upgrade : name === "connection" ? connection : undefined) },
    });

  for (const upgrade of [
    "websocket",
    "WebSocket",
    "h2c, websocket",
    "TLS/1.0,websocket",
    "websocket, h2c",
    " ,websocket",
  ]) {
    it(`by Upgrade: ${upgrade}`, () => {
      for (const connection of ["Upgrade", "upgrade", "keep-alive, UPGRADE", "Upgrade, HTTP2-Settings"])
        assert.ok(asks(upgrade, connection), connection);
    });
  }

  for (const upgrade of [undefined, "", "h2c", "TLS/1.0", "websocket/13", "web socket", "websockets", "x-websocket"]) {
    it(`not by Upgrade: ${String(upgrade)}`, () => assert.ok(!asks(upgrade, "Upgrade")));
  }

  it("not without Connection: upgrade", () => {
    for (const connection of [undefined, "", "keep-alive", "upgrades"]) assert.ok(!asks("websocket", connection));
  });

  it("not over HTTP/1.0", () => assert.ok(!asks("websocket", "Upgrade", "1.0")));
});
