import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { ClientHandshake } from "../../src/handshake/client-handshake.ts";
import type { ClientHandshakeOptions, ClientHandshakeProgress } from "../../src/handshake/client-handshake.ts";
import type { ClientExtension, ExtensionParams } from "../../src/handshake/extensions.ts";
import {
  bytes,
  cut,
  feed,
  head,
  INJECTIONS,
  refusedWith,
  SAMPLE_ACCEPT,
  SAMPLE_KEY,
  sampleNonce,
  sha1,
  splits,
  text,
} from "./support.ts";

function client(options: Partial<ClientHandshakeOptions> = {}): ClientHandshake {
  return new ClientHandshake({ host: "server.example.com", target: "/chat", random: sampleNonce, sha1, ...options });
}

function extension(name: string, rsv: number, ...params: ExtensionParams): ClientExtension<{ name: string }> {
  return { name, rsv, offers: [{ name, params }], accept: (answer) => (answer.length > 1 ? "too much" : { name }) };
}

const ASKING = [
  "GET /chat HTTP/1.1",
  "Host: server.example.com",
  "Upgrade: websocket",
  "Connection: Upgrade",
  `Sec-WebSocket-Key: ${SAMPLE_KEY}`,
  "Sec-WebSocket-Version: 13",
];
const AGREEING = ["Upgrade: websocket", "Connection: Upgrade", `Sec-WebSocket-Accept: ${SAMPLE_ACCEPT}`];
const SWITCHING = ["HTTP/1.1 101 Switching Protocols", ...AGREEING];

describe("the client's request", () => {
  const request = (options?: Partial<ClientHandshakeOptions>): string => text(client(options).request());

  it("is that of RFC 6455 §1.3", () => {
    assert.equal(request(), head(...ASKING));
    const protocols = ["chat", "superchat"];
    assert.equal(
      request({ origin: "http://example.com", protocols }),
      head(...ASKING, "Origin: http://example.com", "Sec-WebSocket-Protocol: chat, superchat"),
    );
  });

  it("is the same at each call, and uses randomness once", () => {
    let calls = 0;
    const handshake = client({
      random: (target) => {
        assert.equal(target.length, 16);
        target.fill(++calls);
      },
    });
    assert.deepEqual(handshake.request(), handshake.request());
    assert.equal(calls, 1);
  });

  it("has the caller's fields, and Host as the caller wants it", () => {
    const headers = { Authorization: "Basic eDp5", Cookie: ["a=b", "c=d"], host: "other.example:81", Origin: "null" };
    const lines = ["Authorization: Basic eDp5", "Cookie: a=b", "Cookie: c=d", "Origin: null"];
    assert.equal(request({ headers }), head(ASKING[0], "Host: other.example:81", ...ASKING.slice(2), ...lines));
  });

  it("offers extensions, the same one with different parameters too", () => {
    const two: ClientExtension = {
      name: "b",
      rsv: 0,
      offers: [
        { name: "b", params: [["x", true]] },
        { name: "b", params: [] },
      ],
      accept: () => ({}),
    };
    const extensions = [extension("a", 0x40, ["y", "1"]), two, { ...two, name: "c", offers: [] }];
    assert.equal(request({ extensions }), head(...ASKING, "Sec-WebSocket-Extensions: a; y=1, b; x, b"));
  });

  const wrong: readonly (readonly [string, unknown, RegExp])[] = [
    ["host", "", /^host must be a host with an optional port, got ""$/],
    ["host", "a b", /host/],
    ["host", "http://a", /host/],
    ["host", "user@a", /host/],
    ["host", undefined, /host must be .*, got undefined/],
    ["target", "", /^target must be a path with an optional query, in visible ASCII without #, got ""$/],
    ["target", "chat", /target/],
    ["target", "*", /target/],
    ["target", "http://example.com/", /target must be a path/],
    ["target", "/#x", /target/],
    ["target", "/\u00e4", /target/],
    ["target", undefined, /target/],
    ["origin", 5, /^origin must be a string, got 5$/],
    ["origin", "http://\u0141", /^origin must be a header value/],
    ["protocols", "chat", /^protocols must be an array of tokens, got "chat"$/],
    ["protocols", ["a", "a"], /each of protocols must be distinct, got "a"/],
    ["protocols", [""], /^each of protocols must be a token, got ""$/],
    ["protocols", ["a, b"], /^each of protocols must be a token, got "a, b"$/],
    ["protocols", [5], /^each of protocols must be a token, got 5$/],
    ["protocols", [null], /^each of protocols must be a token, got null$/],
    ["headers", { "Sec-WebSocket-Key": "x" }, /does not set itself, got "Sec-WebSocket-Key"/],
    ["headers", { upgrade: "x" }, /does not set itself/],
    ["headers", { CONNECTION: "x" }, /does not set itself/],
    ["headers", { "Content-Length": "0" }, /does not set itself/],
    ["headers", { Host: "a b" }, /host must be a host/],
    ["headers", { Host: ["a", "b"] }, /^headers must have at most one Host, got "b"$/],
    ["headers", { Origin: ["a", "b"] }, /^headers must have at most one Origin, got "a, b"$/],
    ["extensions", [extension("a b", 0)], /a token/],
    ["extensions", [extension("a", 1)], /rsv of the extension a/],
    ["extensions", [extension("a", 0), extension("a", 0)], /must be distinct/],
    ["extensions", [{ ...extension("a", 0), name: "b" }], /^the name in each offer of b must be "b", got "a"$/],
    ["random", undefined, /random must be a function/],
    ["sha1", "sha1", /sha1 must be a function/],
    ["maxBodySize", -1, /^maxBodySize must be an integer of at least 0, /],
    ["maxBodySize", 0.5, /maxBodySize/],
    ["limits", { maxHeaders: NaN }, /maxHeaders/],
  ];
  for (const [name, value, message] of wrong) {
    it(`rejects ${name} ${JSON.stringify(value)}`, () => {
      assert.throws(() => client({ [name]: value }), refusedWith("INVALID_ARGUMENT", message));
    });
  }

  it("rejects two Origins", () => {
    assert.throws(
      () => client({ origin: "http://a", headers: { Origin: "http://b" } }),
      refusedWith("INVALID_ARGUMENT", /one Origin/),
    );
  });

  for (const injection of INJECTIONS) {
    it(`never holds ${JSON.stringify(injection)}`, () => {
      const params: ExtensionParams = [["a", injection]];
      const options: readonly Partial<ClientHandshakeOptions>[] = [
        { host: injection },
        { host: `a${injection}` },
        { target: injection },
        { target: `/${injection}` },
        { origin: injection },
        { protocols: [injection] },
        { protocols: ["a", injection] },
        { headers: { "X-A": injection } },
        { headers: { [injection]: "x" } },
        { headers: { Host: injection } },
        { extensions: [extension(injection, 0)] },
        { extensions: [extension("a", 0, ...params)] },
        { extensions: [extension("a", 0, [injection, true])] },
      ];
      for (const option of options) assert.throws(() => client(option), refusedWith("INVALID_ARGUMENT"));
    });
  }
});

describe("the client's handshake", () => {
  it("is open with the response of RFC 6455 §1.3, in any chunks", () => {
    const response = head(...SWITCHING, "Sec-WebSocket-Protocol: chat");
    for (const chunks of splits(response)) {
      const { progress } = feed(client({ protocols: ["superchat", "chat"] }), chunks);
      assert.ok(progress.state === "open");
      const { protocol, extensions, extensionsHeader, headers, rest } = progress;
      assert.equal(headers.get("upgrade"), "websocket");
      assert.deepEqual(
        { protocol, extensions, extensionsHeader },
        { protocol: "chat", extensions: [], extensionsHeader: "" },
      );
      assert.equal(rest.length, 0);
    }
  });

  it("keeps the bytes after the response", () => {
    for (const chunks of splits(`${head(...SWITCHING)}\x81\x05frame`)) {
      const handshake = client();
      const { progress, left } = feed(handshake, chunks);
      assert.ok(progress.state === "open");
      assert.equal(text(progress.rest) + left.map(text).join(""), "\x81\x05frame");
      assert.equal(progress.protocol, "");
      assert.throws(() => handshake.receive(bytes("x")), refusedWith("INVALID_STATE"));
      assert.throws(() => handshake.end(), refusedWith("INVALID_STATE"));
    }
  });

  it("ignores interim responses", () => {
    const source = head("HTTP/1.1 100 Continue") + head("HTTP/1.1 103 Early Hints", "Link: </a>") + head(...SWITCHING);
    for (const chunks of splits(source)) assert.equal(feed(client(), chunks).progress.state, "open");
  });

  const open: readonly (readonly [string, readonly string[]])[] = [
    ["another reason", ["HTTP/1.1 101 Fine", ...AGREEING]],
    ["no reason", ["HTTP/1.1 101 ", ...AGREEING]],
    ["a list of connection options", ["HTTP/1.1 101 x", AGREEING[0], "Connection: keep-alive, Upgrade", AGREEING[2]]],
    ["values in any case", ["HTTP/1.1 101 x", "UPGRADE: WebSocket", "connection: UPGRADE", AGREEING[2]]],
    [
      "an accept value with space around it",
      ["HTTP/1.1 101 x", AGREEING[0], AGREEING[1], `Sec-WebSocket-Accept: \t${SAMPLE_ACCEPT} `],
    ],
    ["a length, which says nothing here", [...SWITCHING, "Content-Length: 5", "Transfer-Encoding: chunked"]],
  ];
  for (const [name, lines] of open) {
    it(`is open with ${name}`, () => {
      const progress = client().receive(bytes(`${head(...lines)}\x89`));
      assert.ok(progress.state === "open");
      assert.equal(text(progress.rest), "\x89");
    });
  }

  it("has the extensions that the server accepted, in its order", () => {
    const extensions = [extension("a", 0x40), extension("b", 0x20)];
    const progress = client({ extensions }).receive(bytes(head(...SWITCHING, 'Sec-WebSocket-Extensions: b, a; x="1"')));
    assert.ok(progress.state === "open");
    assert.equal(progress.extensionsHeader, "b, a; x=1");
    assert.deepEqual(progress.extensions, [
      { name: "b", params: [], rsv: 0x20, negotiated: { name: "b" } },
      { name: "a", params: [["x", "1"]], rsv: 0x40, negotiated: { name: "a" } },
    ]);
  });

  const line = "HTTP/1.1 101 Switching Protocols";
  const [UPGRADE, CONNECTION, ACCEPT] = AGREEING;
  const agreed: readonly (readonly [string, readonly string[], string?])[] = [
    ["no reason phrase", ["HTTP/1.1 101 ", ...AGREEING]],
    ["no space behind the status", ["HTTP/1.1 101", ...AGREEING]],
    ["a higher minor version", ["HTTP/1.2 101", ...AGREEING]],
    ["folded fields", [line, "Upgrade:", " websocket", "Connection: keep-alive,", "\tUpgrade", "Sec-WebSocket-Accept:", ` ${SAMPLE_ACCEPT} `]], // prettier-ignore
    ["an interim response with a folded field", ["HTTP/1.1 103", "Link: </a>;", " rel=x", "", line, ...AGREEING]],
    ["an empty list of extensions", [...SWITCHING, "Sec-WebSocket-Extensions:"]],
    ["several empty lists of extensions", [...SWITCHING, "Sec-WebSocket-Extensions: ,", "Sec-WebSocket-Extensions: "]],
    ["an empty list of subprotocols", [...SWITCHING, "Sec-WebSocket-Protocol:"]],
    ["several empty lists of subprotocols", [...SWITCHING, "Sec-WebSocket-Protocol: ", "Sec-WebSocket-Protocol:\t, ,"]],
    ["a subprotocol among empty elements", [...SWITCHING, "Sec-WebSocket-Protocol:", "Sec-WebSocket-Protocol: chat,"], "chat"], // prettier-ignore
    ["empty elements in Upgrade and Connection", [line, `${UPGRADE},`, "Connection: , upgrade", "Upgrade:", ACCEPT]],
  ];
  for (const [name, lines, protocol = ""] of agreed) {
    it(`opens with ${name}`, () => {
      for (const chunks of splits(head(...lines))) {
        const { progress } = feed(client({ protocols: ["chat"], extensions: [extension("a", 0x40)] }), chunks);
        assert.ok(progress.state === "open", progress.state === "failed" ? progress.error.message : progress.state);
        assert.deepEqual([progress.protocol, progress.extensions], [protocol, []]);
      }
    });
  }

  const failed: readonly (readonly [string, readonly string[], string])[] = [
    ["HTTP/1.0", ["HTTP/1.0 101 Switching Protocols", ...AGREEING], "UNSUPPORTED_HTTP_VERSION"],
    ["HTTP/2", ["HTTP/2.0 101 Switching Protocols", ...AGREEING], "UNSUPPORTED_HTTP_VERSION"],
    ["no Upgrade", [line, AGREEING[1], AGREEING[2]], "INVALID_UPGRADE_HEADER"],
    ["another Upgrade", [line, "Upgrade: h2c", AGREEING[1], AGREEING[2]], "INVALID_UPGRADE_HEADER"],
    ["two Upgrades", [...SWITCHING, "Upgrade: h2c"], "INVALID_UPGRADE_HEADER"],
    ["an empty Upgrade", [line, "Upgrade:", AGREEING[1], AGREEING[2]], "INVALID_UPGRADE_HEADER"],
    ["an Upgrade of no elements", [line, "Upgrade: ,", CONNECTION, ACCEPT], "INVALID_UPGRADE_HEADER"],
    ["a Connection of no elements", [line, UPGRADE, "Connection: ,", ACCEPT], "INVALID_CONNECTION_HEADER"],
    ["no Connection", [line, AGREEING[0], AGREEING[2]], "INVALID_CONNECTION_HEADER"],
    ["another Connection", [line, AGREEING[0], "Connection: keep-alive", AGREEING[2]], "INVALID_CONNECTION_HEADER"],
    ["no accept value", [line, AGREEING[0], AGREEING[1]], "INVALID_ACCEPT"],
    [
      "another accept value",
      [line, AGREEING[0], AGREEING[1], "Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA="],
      "INVALID_ACCEPT",
    ],
    [
      "the accept value in another case",
      [line, AGREEING[0], AGREEING[1], `Sec-WebSocket-Accept: ${SAMPLE_ACCEPT.toLowerCase()}`],
      "INVALID_ACCEPT",
    ],
    [
      "the key for accept value",
      [line, AGREEING[0], AGREEING[1], `Sec-WebSocket-Accept: ${SAMPLE_KEY}`],
      "INVALID_ACCEPT",
    ],
    ["two accept values", [...SWITCHING, AGREEING[2]], "INVALID_ACCEPT"],
    ["an extension that was not offered", [...SWITCHING, "Sec-WebSocket-Extensions: x"], "UNREQUESTED_EXTENSION"],
    [
      "an extension twice",
      [...SWITCHING, "Sec-WebSocket-Extensions: a", "Sec-WebSocket-Extensions: a"],
      "UNREQUESTED_EXTENSION",
    ],
    ["two extensions for one bit", [...SWITCHING, "Sec-WebSocket-Extensions: a, b"], "UNREQUESTED_EXTENSION"],
    [
      "parameters that the extension refuses",
      [...SWITCHING, "Sec-WebSocket-Extensions: a; x; y"],
      "UNREQUESTED_EXTENSION",
    ],
    ["malformed extensions", [...SWITCHING, "Sec-WebSocket-Extensions: a;"], "INVALID_EXTENSIONS"],
    ["a subprotocol that was not offered", [...SWITCHING, "Sec-WebSocket-Protocol: other"], "UNREQUESTED_SUBPROTOCOL"],
    ["a subprotocol in another case", [...SWITCHING, "Sec-WebSocket-Protocol: Chat"], "UNREQUESTED_SUBPROTOCOL"],
    ["a subprotocol that is no token", [...SWITCHING, "Sec-WebSocket-Protocol: chat x"], "UNREQUESTED_SUBPROTOCOL"],
    [
      "two subprotocols",
      [...SWITCHING, "Sec-WebSocket-Protocol: chat", "Sec-WebSocket-Protocol: superchat"],
      "UNREQUESTED_SUBPROTOCOL",
    ],
    ["a folded line before the first field", [line, " A: b", ...AGREEING], "MALFORMED_HEAD"],
    ["an accept value cut by a fold", [line, AGREEING[0], AGREEING[1], "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZ", " RbK+xOo="], "INVALID_ACCEPT"], // prettier-ignore
    ["something else than HTTP", ["SSH-2.0-OpenSSH_9.2p1"], "MALFORMED_HEAD"],
    ["a head that is too big", [line, `A: ${"a".repeat(1000)}`], "HEAD_TOO_BIG"],
    ["too many fields", [line, ...new Array<string>(30).fill("A:")], "TOO_MANY_HEADERS"],
    ["two lengths", ["HTTP/1.1 404 x", "Content-Length: 5", "Content-Length: 6"], "MALFORMED_HEAD"],
    ["a length that is none", ["HTTP/1.1 404 x", "Content-Length: -5"], "MALFORMED_HEAD"],
    ["a list of lengths", ["HTTP/1.1 404 x", "Content-Length: 5, 6"], "MALFORMED_HEAD"],
    ["an empty length", ["HTTP/1.1 404 x", "Content-Length:"], "MALFORMED_HEAD"],
    ["a list of no length", ["HTTP/1.1 404 x", "Content-Length: ,"], "MALFORMED_HEAD"],
  ];
  for (const [name, lines, code] of failed) {
    it(`fails with ${name}: ${code}`, () => {
      const options = {
        protocols: ["chat", "superchat"],
        extensions: [extension("a", 0x40), extension("b", 0x40)],
        limits: { maxHeadSize: 1000, maxHeaders: 20, maxParts: 1000 },
      };
      for (const chunks of splits(head(...lines))) {
        const handshake = client(options);
        const { progress } = feed(handshake, chunks);
        assert.ok(progress.state === "failed", progress.state);
        assert.equal(progress.error.code, code);
        assert.throws(() => handshake.receive(bytes("x")), refusedWith("INVALID_STATE"));
        assert.throws(() => handshake.end(), refusedWith("INVALID_STATE"));
      }
    });
  }

  it("fails if the stream ends before the response does", () => {
    const source = bytes(head(...SWITCHING));
    for (let size = 0; size < source.length; size++) {
      const handshake = client();
      handshake.receive(source.subarray(0, size));
      const progress = handshake.end();
      assert.ok(progress.state === "failed");
      assert.equal(progress.error.code, "CONNECTION_LOST");
      assert.match(progress.error.message, /: the server sent no complete response to the opening handshake$/);
    }
  });

  const said: readonly (readonly [readonly string[], string])[] = [
    [["HTTP/1.0 101 x", ...AGREEING], "got HTTP/1.0"],
    [[line, AGREEING[1], AGREEING[2]], "got none"],
    [[line, "Upgrade: h2c", AGREEING[1], AGREEING[2]], 'got "h2c"'],
    [[line, AGREEING[0], AGREEING[2]], "got none"],
    [[line, AGREEING[0], "Connection: close", AGREEING[2]], 'got "close"'],
    [[line, AGREEING[0], AGREEING[1]], `expected "${SAMPLE_ACCEPT}", got none`],
    [[line, AGREEING[0], AGREEING[1], "Sec-WebSocket-Accept: \xe4"], `expected "${SAMPLE_ACCEPT}", got "\\u00e4"`],
    [[...SWITCHING, "Sec-WebSocket-Protocol: other"], 'got "other"'],
    [["HTTP/1.1 404 x", "Content-Length: 5", "Content-Length: 6"], 'expected one Content-Length, got "5, 6"'],
    [["HTTP/1.1 404 x", "Content-Length: 5x"], 'expected one Content-Length, got "5x"'],
    [["HTTP/1.1 404 x", "Content-Length: x5"], 'expected one Content-Length, got "x5"'],
  ];
  for (const [lines, end] of said) {
    it(`describes the expected and the received value: ${end}`, () => {
      const progress = client().receive(bytes(head(...lines)));
      assert.ok(progress.state === "failed");
      assert.ok(progress.error.message.endsWith(`: ${end}`), progress.error.message);
    });
  }

  it("reports the status of a response without a reason phrase, or with folded fields", () => {
    for (const version of ["1.0", "1.1"]) {
      for (const status of [200, 302, 401, 403, 407, 429, 503]) {
        for (const chunks of splits(head(`HTTP/${version} ${status}`, "A: b", " c", "Content-Length: 2") + "no")) {
          const { progress } = feed(client(), chunks);
          assert.ok(progress.state === "rejected");
          const { response, error } = progress;
          assert.deepEqual([response.status, response.reason, text(response.body)], [status, "", "no"]);
          assert.match(error.message, new RegExp(`: expected 101, got ${status}$`));
        }
      }
    }
  });

  it("does not treat a 2xx, 3xx, 4xx or 5xx as agreement, whatever it contains", () => {
    for (const status of [200, 204, 302, 401, 426, 503]) {
      const progress = client().receive(bytes(head(`HTTP/1.1 ${status} x`, ...AGREEING, "Content-Length: 0")));
      assert.ok(progress.state === "rejected");
      assert.equal(progress.response.status, status);
    }
  });
});

/** The outcome of a response, and where the stream ended in it. */
function outcome(progress: ClientHandshakeProgress): unknown {
  if (progress.state !== "rejected") return progress.state === "failed" ? progress.error.code : progress.state;
  assert.equal(progress.error.code, "UNEXPECTED_STATUS");
  const { body, truncated } = progress.response;
  return truncated ? `${text(body)}...` : text(body);
}

/** The outcome of a response sent whole, in any two chunks, and byte by byte: all are equal. */
function rejected(
  lines: readonly string[],
  body: string,
  options: Partial<ClientHandshakeOptions> = {},
  ended = false,
): unknown {
  const source = head("HTTP/1.1 404 Not Found", ...lines) + body;
  const outcomes = [...splits(source)].map((chunks) => {
    const handshake = client(options);
    const { progress } = feed(handshake, chunks);
    return outcome(progress.state === "more" && ended ? handshake.end() : progress);
  });
  for (const other of outcomes) assert.deepEqual(other, outcomes[0]);
  return outcomes[0];
}

describe("a response that is not 101", () => {
  it("is passed to the caller", () => {
    const source = head("HTTP/1.1 401 Who are you?", "WWW-Authenticate: Basic", "Content-Length: 4");
    const progress = client().receive(bytes(`${source}who?`));
    assert.ok(progress.state === "rejected");
    const { response, error } = progress;
    assert.equal(error.code, "UNEXPECTED_STATUS");
    assert.match(error.message, /: expected 101, got 401 "Who are you\?"$/);
    assert.deepEqual({ ...response, headers: [...response.headers], body: text(response.body) }, {
      status: 401,
      reason: "Who are you?",
      headers: [["WWW-Authenticate", "Basic"], ["Content-Length", "4"]],
      body: "who?",
      truncated: false,
    }); // prettier-ignore
  });

  it("may lack a reason", () => {
    const progress = client().receive(
      bytes(head("HTTP/1.1 302 ", "Location: http://other.example/", "Content-Length: 0")),
    );
    assert.ok(progress.state === "rejected");
    assert.match(progress.error.message, /got 302$/);
    assert.equal(progress.response.headers.get("location"), "http://other.example/");
  });

  const length = (size: number | string): string[] => [`Content-Length: ${size}`];
  const CHUNKED = ["Transfer-Encoding: chunked"];

  it("has a body as long as it says", () => {
    assert.equal(rejected(length(4), "body"), "body");
    assert.equal(rejected(length("04"), "body"), "body");
    assert.equal(rejected(length("4, 4"), "body"), "body");
    assert.equal(rejected(length("4,,4,"), "body"), "body");
    assert.equal(rejected([...length(4), ...length(4)], "body"), "body");
    assert.equal(rejected(length(4), "body and more"), "body");
    assert.equal(rejected(length(0), "more"), "");
    assert.equal(rejected(length(5), "body"), "more");
    assert.equal(rejected(length(5), "body", {}, true), "body...");
  });

  it("has a body up to the end of the stream", () => {
    assert.equal(rejected([], "body"), "more");
    assert.equal(rejected([], "body", {}, true), "body");
    assert.equal(rejected([], "", {}, true), "");
    assert.equal(rejected(["Transfer-Encoding: gzip"], "body", {}, true), "body");
    assert.equal(rejected(["Transfer-Encoding: ,"], "body", {}, true), "body");
    assert.equal(rejected(["Transfer-Encoding:", ...length(4)], "body"), "body", "an empty list counts as absent");
    assert.equal(rejected(["Transfer-Encoding: chunked, gzip"], "4\r\n", {}, true), "4\r\n");
  });

  it("of HTTP/1.0 is not chunked", () => {
    const handshake = client();
    assert.equal(handshake.receive(bytes(`${head("HTTP/1.0 404 x", ...CHUNKED)}0\r\n`)).state, "more");
    assert.equal(outcome(handshake.end()), "0\r\n");
  });

  it("has no body with 204 and 304", () => {
    for (const status of [204, 304]) {
      assert.equal(outcome(client().receive(bytes(head(`HTTP/1.1 ${status} x`, "Content-Length: 5")))), "");
    }
  });

  it("may have a chunked body", () => {
    assert.equal(rejected(CHUNKED, "0\r\n"), "", "its trailer is not waited for");
    assert.equal(rejected(CHUNKED, "4\r\nbody\r\n0\r\nX: y\r\n\r\n"), "body");
    assert.equal(rejected(CHUNKED, "1\r\nb\r\n0003;x=y\r\nody\r\n00\r\n\r\n"), "body");
    assert.equal(rejected(CHUNKED, `a \t; x="\xe4"\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n`), "01234567890123456789");
    assert.equal(rejected(["Transfer-Encoding: gzip, Chunked", ...length(99)], "2\r\nzz\r\n0\r\n"), "zz");
    for (const size of [9, 10, 15, 16, 26, 255, 256]) {
      const chunk = "x".repeat(size);
      for (const digits of [size.toString(16), size.toString(16).toUpperCase()]) {
        const source = bytes(`${head("HTTP/1.1 404 x", ...CHUNKED)}${digits}\r\n${chunk}\r\n0\r\n`);
        assert.equal(outcome(client().receive(source)), chunk);
      }
    }
    assert.equal(rejected(CHUNKED, "4\r\nbo"), "more");
    assert.equal(rejected(CHUNKED, "4\r\nbo", {}, true), "bo...");
    assert.equal(rejected(CHUNKED, "4\r\nbody\r\n", {}, true), "body...");
  });

  const broken = [
    "\r\n",
    "g\r\n",
    "-1\r\n",
    " 4\r\n",
    ";x\r\n",
    "4x\r\n",
    "4\n",
    "4\rx",
    "4;\n",
    "4;\0",
    "4;x\rx",
    "/",
    ":",
    "@",
    "`",
  ];
  for (const chunk of broken) {
    it(`ends at invalid chunks: ${JSON.stringify(chunk)}`, () => {
      assert.equal(rejected(CHUNKED, chunk), "...");
      assert.equal(rejected(CHUNKED, `2\r\nok\r\n${chunk}`), "ok...");
    });
  }
  it("ends at a chunk longer than its declared size", () => {
    assert.equal(rejected(CHUNKED, "2\r\nokx"), "ok...");
    assert.equal(rejected(CHUNKED, "2\r\nok\rx"), "ok...");
    assert.equal(rejected(CHUNKED, "2\r\nok\n"), "ok...");
  });

  it("has chunk lines of up to 256 bytes", () => {
    assert.equal(rejected(CHUNKED, `${"0".repeat(254)}2\r\nok\r\n0\r\n`), "ok");
    assert.equal(rejected(CHUNKED, `${"0".repeat(255)}2\r\nok\r\n0\r\n`), "...");
    assert.equal(rejected(CHUNKED, `2;${"x".repeat(253)}\r\nok\r\n0\r\n`), "ok");
    assert.equal(rejected(CHUNKED, `2;${"x".repeat(254)}\r\nok\r\n0\r\n`), "...");
  });

  it("is kept up to maxBodySize, and no longer waited for beyond", () => {
    for (const [maxBodySize, kept] of [
      [3, "bod..."],
      [4, "body"],
      [5, "body"],
    ] as const) {
      // prettier-ignore
      assert.equal(rejected(length(4), "body", { maxBodySize }), kept);
    }
    for (const [maxBodySize, kept] of [
      [3, "bod..."],
      [4, "body..."],
      [5, "body"],
    ] as const) {
      // prettier-ignore
      assert.equal(rejected([], "body", { maxBodySize }, true), kept);
      assert.equal(rejected(CHUNKED, "4\r\nbody\r\n0\r\n", { maxBodySize }), kept);
    }
    assert.equal(rejected(length(`1${"0".repeat(30)}`), "body", { maxBodySize: 4 }), "body...");
    assert.equal(rejected(length("9".repeat(400)), "body", { maxBodySize: 4 }), "body...");
    assert.equal(rejected(CHUNKED, `${"f".repeat(250)}\r\nbody`, { maxBodySize: 4 }), "body...");
    assert.equal(rejected(length(0), "", { maxBodySize: 0 }), "");
    assert.equal(rejected(length(1), "", { maxBodySize: 0 }), "...");
    assert.equal(rejected(CHUNKED, "", { maxBodySize: 0 }), "...");
    assert.equal(rejected([], "", { maxBodySize: 0 }), "...");
  });

  it("is kept up to 64 KiB by default, in the memory of what arrived", () => {
    const progress = client().receive(bytes(head("HTTP/1.1 500 x", "Content-Length: 999999999") + "x".repeat(1 << 17)));
    assert.ok(progress.state === "rejected");
    assert.equal(progress.response.body.length, 64 * 1024);
    assert.ok(progress.response.truncated);
    const unlimited = client({ maxBodySize: Infinity });
    const start = head("HTTP/1.1 500 x");
    assert.equal(unlimited.receive(bytes(start + "x".repeat(1 << 17))).state, "more");
    const end = unlimited.end();
    assert.ok(end.state === "rejected");
    assert.equal(end.response.body.length, 1 << 17);
    assert.ok(!end.response.truncated);
  });

  it("is truncated by cut(), which before the end of the head fails the handshake", () => {
    for (const fields of [[], ["Content-Length: 9"], ["Transfer-Encoding: chunked"]]) {
      const handshake = client();
      assert.equal(handshake.receive(bytes("HTTP/1.1 401\r\n")).state, "more");
      assert.ok(!handshake.isRejected);
      assert.equal(handshake.receive(bytes([...fields, "", ""].join("\r\n"))).state, "more");
      assert.ok(handshake.isRejected);
      const cut = handshake.cut();
      assert.ok(cut.state === "rejected");
      assert.deepEqual([cut.response.status, cut.response.truncated], [401, true]);
      assert.throws(() => handshake.cut(), refusedWith("INVALID_STATE", /: the handshake is over$/));
    }
    const early = client();
    early.receive(bytes("HTTP/1.1 401\r\n"));
    const cut = early.cut();
    assert.ok(cut.state === "failed");
    assert.equal(cut.error.code, "CONNECTION_LOST");
  });

  it("ends the handshake", () => {
    const handshake = client();
    assert.equal(handshake.receive(bytes(head("HTTP/1.1 404 x", "Content-Length: 1"))).state, "more");
    assert.equal(handshake.receive(bytes("x")).state, "rejected");
    assert.throws(() => handshake.receive(bytes("x")), refusedWith("INVALID_STATE", /: the handshake is over$/));
    assert.throws(() => handshake.end(), refusedWith("INVALID_STATE", /: the handshake is over$/));
  });
});

describe("any response", () => {
  it("never makes the client throw, and has the same result in any chunks", () => {
    const samples = [
      `${head(...SWITCHING)}\x81\x00`,
      `${head("HTTP/1.1 103 x")}${head(...SWITCHING, "Sec-WebSocket-Protocol: chat", "Sec-WebSocket-Extensions: a")}`,
      `${head("HTTP/1.1 404 Not Found", "Content-Length: 4")}body`,
      `${head("HTTP/1.1 404 Not Found", "Transfer-Encoding: chunked")}2;x\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n`,
    ];
    const spoiled = fc.tuple(fc.constantFrom(...samples), fc.nat(), fc.nat(255)).map(([sample, at, byte]) => {
      const source = bytes(sample);
      source[at % source.length] = byte;
      return source;
    });
    const options = { protocols: ["chat"], extensions: [extension("a", 0x40)] };
    const run = (chunks: readonly Uint8Array[]): unknown => {
      const handshake = client(options);
      const { progress } = feed(handshake, chunks);
      return outcome(progress.state === "more" ? handshake.end() : progress);
    };
    fc.assert(
      fc.property(fc.oneof(spoiled, fc.uint8Array()), fc.array(fc.nat(), { maxLength: 6 }), (source, places) => {
        assert.deepEqual(run(cut(source, places)), run([source]));
      }),
      { numRuns: 1000 },
    );
  });
});
