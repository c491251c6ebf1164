import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { ServerExtension } from "../../src/handshake/extensions.ts";
import { acceptUpgrade, ServerHandshake } from "../../src/handshake/server-handshake.ts";
import type { ServerHandshakeOptions } from "../../src/handshake/server-handshake.ts";
import { bytes, cut, feed, head, INJECTIONS, refusedWith, requestLines, sha1, splits, text } from "./support.ts";

const REQUEST = head(
  ...requestLines({
    "Sec-WebSocket-Protocol": "chat, superchat",
    "Sec-WebSocket-Extensions": "x-first; a=1, x-second",
  }),
);

function echo(name: string, rsv: number): ServerExtension<{ name: string }> {
  return { name, rsv, answer: ([offer]) => ({ params: offer.params, negotiated: { name } }) };
}

/** A handshake that has received its request. */
function asked(options: Partial<ServerHandshakeOptions> = {}, source = REQUEST): ServerHandshake {
  const handshake = new ServerHandshake({ sha1, ...options });
  assert.equal(handshake.receive(bytes(source)).state, "request");
  return handshake;
}

const SWITCHING = [
  "HTTP/1.1 101 Switching Protocols",
  "Upgrade: websocket",
  "Connection: Upgrade",
  "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
];

describe("the server's handshake", () => {
  it("accepts the request of RFC 6455 §1.3, in any chunks", () => {
    for (const chunks of splits(REQUEST)) {
      const handshake = new ServerHandshake({ sha1 });
      const { progress } = feed(handshake, chunks);
      assert.ok(progress.state === "request");
      assert.deepEqual(progress.request.protocols, ["chat", "superchat"]);
      const accepted = handshake.accept({ protocol: "chat" });
      assert.equal(text(accepted.response), head(...SWITCHING, "Sec-WebSocket-Protocol: chat"));
      assert.equal(accepted.protocol, "chat");
      assert.deepEqual(accepted.extensions, []);
      assert.equal(accepted.extensionsHeader, "");
      assert.equal(accepted.rest.length, 0);
    }
  });

  it("may choose no subprotocol", () => {
    for (const options of [undefined, {}, { protocol: "" }, { protocol: undefined }]) {
      const { response, protocol } = asked().accept(options);
      assert.equal(text(response), head(...SWITCHING));
      assert.equal(protocol, "");
    }
  });

  it("adds the caller's header fields", () => {
    const { response } = asked().accept({ headers: [["Set-Cookie", "a=b"], ["Set-Cookie", "c=d"]] }); // prettier-ignore
    assert.equal(text(response), head(...SWITCHING, "Set-Cookie: a=b", "Set-Cookie: c=d"));
  });

  it("names the extensions in use", () => {
    const handshake = asked({ extensions: [echo("x-second", 0x20), echo("x-first", 0x40), echo("x-third", 0)] });
    const { response, extensions, extensionsHeader } = handshake.accept();
    assert.equal(extensionsHeader, "x-first; a=1, x-second");
    assert.equal(text(response), head(...SWITCHING, `Sec-WebSocket-Extensions: ${extensionsHeader}`));
    assert.deepEqual(extensions, [
      { name: "x-first", params: [["a", "1"]], rsv: 0x40, negotiated: { name: "x-first" } },
      { name: "x-second", params: [], rsv: 0x20, negotiated: { name: "x-second" } },
    ]);
  });

  it("accepts one of two extensions that use the same bit", () => {
    const { extensionsHeader } = asked({ extensions: [echo("x-second", 0x40), echo("x-first", 0x40)] }).accept();
    assert.equal(extensionsHeader, "x-first; a=1");
  });

  it("keeps the bytes after the request, with it and while it waits for the decision", () => {
    for (const chunks of splits(`${REQUEST}\x81\x85frame`)) {
      const handshake = new ServerHandshake({ sha1 });
      const { progress, left } = feed(handshake, chunks);
      assert.equal(progress.state, "request");
      for (const chunk of left) assert.deepEqual(handshake.receive(chunk), { state: "more" });
      assert.equal(text(handshake.accept().rest), "\x81\x85frame");
    }
  });

  it("keeps maxEarlyData of it, and rejects more", () => {
    for (const [extra, fine] of [
      [9, true],
      [10, true],
      [11, false],
    ] as const) {
      // prettier-ignore
      const behind = "x".repeat(extra);
      const together = new ServerHandshake({ sha1, maxEarlyData: 10 }).receive(bytes(REQUEST + behind));
      assert.equal(together.state, fine ? "request" : "refused");
      const handshake = asked({ maxEarlyData: 10 }, `${REQUEST}xx`);
      const later = handshake.receive(bytes(behind.slice(2)));
      assert.equal(later.state, fine ? "more" : "refused");
      if (fine) {
        assert.equal(text(handshake.accept().rest), behind);
        continue;
      }
      assert.ok(later.state === "refused");
      assert.equal(later.error.code, "TOO_MUCH_EARLY_DATA");
      assert.match(later.error.message, /: more than 10$/);
      assert.match(text(later.response), /^HTTP\/1\.1 400 Bad Request\r\n/);
      assert.throws(() => handshake.accept(), refusedWith("INVALID_STATE"));
    }
    assert.equal(asked().receive(new Uint8Array(64 * 1024)).state, "more");
    assert.equal(asked().receive(new Uint8Array(64 * 1024 + 1)).state, "refused");
    assert.equal(asked({ maxEarlyData: Infinity }).receive(new Uint8Array(1 << 20)).state, "more");
    assert.equal(asked({ maxEarlyData: 0 }).receive(new Uint8Array(1)).state, "refused");
  });

  it("waits for a decision without limit, then is complete", () => {
    const handshake = asked();
    assert.throws(
      () => handshake.accept({ protocol: "other" }),
      refusedWith("INVALID_ARGUMENT", /^protocol must be a subprotocol .*chat, superchat.*got "other"/),
    );
    assert.throws(() => handshake.accept({ headers: { Upgrade: "x" } }), refusedWith("INVALID_ARGUMENT"));
    assert.throws(() => handshake.refuse({ status: 200 }), refusedWith("INVALID_ARGUMENT"));
    assert.equal(text(handshake.accept().response), head(...SWITCHING));
    assert.throws(() => handshake.accept(), refusedWith("INVALID_STATE"));
    assert.throws(() => handshake.refuse({ status: 403 }), refusedWith("INVALID_STATE"));
    assert.throws(() => handshake.receive(bytes("x")), refusedWith("INVALID_STATE", /: the handshake is over$/));
  });

  it("accepts no extension by default, for callers that parse requests themselves", () => {
    const progress = new ServerHandshake({ sha1 }).receive(bytes(REQUEST));
    assert.ok(progress.state === "request");
    const { response, extensions } = acceptUpgrade(progress.request, { sha1 });
    assert.equal(text(response), head(...SWITCHING));
    assert.deepEqual(extensions, []);
  });

  it("cannot select a subprotocol if none was offered", () => {
    const handshake = asked({}, head(...requestLines()));
    assert.throws(() => handshake.accept({ protocol: "chat" }), refusedWith("INVALID_ARGUMENT", /none was offered/));
  });

  it("rejects on request", () => {
    const handshake = asked();
    const response = handshake.refuse({ status: 401, headers: { "WWW-Authenticate": "Basic" }, body: "who?" });
    const lines = [
      "Content-Length: 4",
      "Connection: close",
      "Content-Type: text/plain; charset=utf-8",
      "WWW-Authenticate: Basic",
    ];
    assert.equal(text(response), `${head("HTTP/1.1 401 Unauthorized", ...lines)}who?`);
    assert.throws(() => handshake.accept(), refusedWith("INVALID_STATE"));
    assert.throws(() => handshake.receive(bytes("x")), refusedWith("INVALID_STATE"));
  });

  it("rejects before the request is complete: it took too long", () => {
    const handshake = new ServerHandshake({ sha1 });
    assert.throws(
      () => handshake.accept(),
      refusedWith("INVALID_STATE", /: no request has arrived, or it was answered already$/),
    );
    handshake.receive(bytes("GET / HT"));
    assert.match(text(handshake.refuse({ status: 408 })), /^HTTP\/1\.1 408 Request Timeout\r\n/);
    assert.throws(() => handshake.receive(bytes("x")), refusedWith("INVALID_STATE"));
  });

  const wrong: readonly (readonly [string, string, string, number])[] = [
    ["a page", head("GET / HTTP/1.1", "Host: a"), "NOT_AN_UPGRADE", 426],
    ["POST", head("POST / HTTP/1.1", "Host: a"), "METHOD_NOT_GET", 405],
    ["HTTP/1.0", head("GET / HTTP/1.0"), "UNSUPPORTED_HTTP_VERSION", 505],
    ["version 8", head(...requestLines({ "Sec-WebSocket-Version": "8" })), "UNSUPPORTED_VERSION", 426],
    ["no key", head(...requestLines({ "Sec-WebSocket-Key": undefined })), "INVALID_KEY", 400],
    ["a bare LF", "GET / HTTP/1.1\n", "MALFORMED_HEAD", 400],
    ["a head that is too big", head("GET / HTTP/1.1", `A: ${"a".repeat(600)}`), "HEAD_TOO_BIG", 431],
    ["too many fields", head("GET / HTTP/1.1", ...new Array<string>(50).fill("A:")), "TOO_MANY_HEADERS", 431],
  ];
  for (const [name, source, code, status] of wrong) {
    it(`rejects ${name} by itself`, () => {
      for (const chunks of splits(source)) {
        const handshake = new ServerHandshake({ sha1, limits: { maxHeadSize: 500, maxHeaders: 20 } });
        const { progress } = feed(handshake, chunks);
        assert.ok(progress.state === "refused");
        assert.equal(progress.error.code, code);
        const response = text(progress.response);
        assert.ok(response.startsWith(`HTTP/1.1 ${status} `));
        assert.ok(response.endsWith(`\r\n\r\n${progress.error.message}\n`));
        assert.throws(() => handshake.receive(bytes("x")), refusedWith("INVALID_STATE"));
        assert.throws(() => handshake.accept(), refusedWith("INVALID_STATE"));
      }
    });
  }

  it("rejects a head in too many chunks with 408", () => {
    const chunks = Array.from(bytes(REQUEST), (byte) => Uint8Array.of(byte));
    const { progress } = feed(new ServerHandshake({ sha1, limits: { maxParts: 10 } }), chunks);
    assert.ok(progress.state === "refused");
    assert.match(text(progress.response), /^HTTP\/1\.1 408 /);
  });

  it("answers HEAD without a body", () => {
    const progress = new ServerHandshake({ sha1 }).receive(bytes(head("HEAD / HTTP/1.1", "Host: a")));
    assert.ok(progress.state === "refused");
    assert.match(text(progress.response), /^HTTP\/1\.1 405 [^]*Allow: GET\r\n\r\n$/);
  });

  it("throws for invalid options", () => {
    const options: readonly (readonly [Partial<ServerHandshakeOptions>, RegExp])[] = [
      [{ sha1: "sha1" as unknown as typeof sha1 }, /sha1 must be a function/],
      [{ limits: { maxParts: 0 } }, /maxParts/],
      [{ maxEarlyData: -1 }, /maxEarlyData/],
      [{ extensions: [echo("a", 1)] }, /rsv of the extension a/],
      [{ extensions: [echo("a b", 0)] }, /a token/],
    ];
    for (const [option, message] of options) {
      assert.throws(() => new ServerHandshake({ sha1, ...option }), refusedWith("INVALID_ARGUMENT", message));
    }
  });

  for (const injection of INJECTIONS) {
    it(`never writes ${JSON.stringify(injection)} into a head`, () => {
      const handshake = asked({
        extensions: [{ name: "x-first", rsv: 0, answer: () => ({ params: [["a", injection]], negotiated: {} }) }],
      });
      assert.throws(() => handshake.accept(), refusedWith("INVALID_ARGUMENT"));
      assert.throws(() => asked().accept({ protocol: injection }), refusedWith("INVALID_ARGUMENT"));
      assert.throws(() => asked().accept({ headers: { "X-A": injection } }), refusedWith("INVALID_ARGUMENT"));
      assert.throws(() => asked().accept({ headers: { [injection]: "" } }), refusedWith("INVALID_ARGUMENT"));
      assert.throws(
        () => asked().refuse({ status: 403, headers: { "X-A": injection } }),
        refusedWith("INVALID_ARGUMENT"),
      );
    });
  }

  it("never throws, for any bytes", () => {
    const spoiled = fc.tuple(fc.nat(), fc.uint8Array({ minLength: 1, maxLength: 4 })).map(([at, noise]) => {
      const source = bytes(`${REQUEST}\x81\x80`);
      source.set(noise, at % (source.length - noise.length));
      return source;
    });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array(), spoiled), fc.array(fc.nat(), { maxLength: 5 }), (source, places) => {
        const handshake = new ServerHandshake({ sha1, extensions: [echo("x-first", 0x40)] });
        const { progress } = feed(handshake, cut(source, places));
        if (progress.state === "request") assert.match(text(handshake.accept().response), /^HTTP\/1\.1 101 /);
        if (progress.state === "refused") assert.match(text(progress.response), /^HTTP\/1\.1 [45]\d\d [^]*\r\n\r\n/);
      }),
      { numRuns: 500 },
    );
  });
});
