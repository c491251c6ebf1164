import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { RequestHeadParser, ResponseHeadParser } from "../../src/handshake/http-head.ts";
import type { HeadLimits, HeadProgress, RequestHead, ResponseHead } from "../../src/handshake/http-head.ts";
import { bytes, cut, feed, head, refusedWith, splits, text } from "./support.ts";
import type { Machine } from "./support.ts";

type AnyProgress = HeadProgress<RequestHead> | HeadProgress<ResponseHead>;
type AnyParser = typeof RequestHeadParser | typeof ResponseHeadParser;

function create(Parser: AnyParser, limits?: Partial<HeadLimits>): Machine<AnyProgress> {
  return new Parser(limits);
}

/** A progress as plain values, for comparison. */
function plain(progress: AnyProgress): unknown {
  if (progress.state === "more") return "more";
  if (progress.state === "error") return progress.error.code;
  return { ...progress.head, headers: [...progress.head.headers], rest: text(progress.rest) };
}

function parse(Parser: AnyParser, source: string): unknown {
  return plain(new Parser().receive(bytes(source)));
}

const REQUEST = head(
  "GET /chat?room=1 HTTP/1.1",
  "Host: example.com",
  "X-Empty:",
  "X-Blank: \t ",
  "X-Inside:\ta b\tc  ",
  "X-Latin1: \xe4\xff",
  "x-inside: again",
);
const REQUEST_HEAD = {
  method: "GET",
  target: "/chat?room=1",
  version: "1.1",
  headers: [
    ["Host", "example.com"],
    ["X-Empty", ""],
    ["X-Blank", ""],
    ["X-Inside", "a b\tc"],
    ["X-Latin1", "\xe4\xff"],
    ["x-inside", "again"],
  ],
};

describe("a request head", () => {
  it("is the same whole, split at every offset and byte by byte", () => {
    for (const chunks of splits(REQUEST)) {
      assert.deepEqual(plain(feed(new RequestHeadParser(), chunks).progress), { ...REQUEST_HEAD, rest: "" });
    }
  });

  it("is kept with every byte received, before its end and with the chunk that ends it", () => {
    const incomplete = "GET /page HTTP/1.1\r\nHost: a\r\n";
    for (const source of [REQUEST, `\r\n${REQUEST}\0body`, "GET / HTTP/1.0\r\n\r\n", "\x16\x03\x01", incomplete]) {
      for (const chunks of splits(source)) {
        const parser = new RequestHeadParser();
        let taken = "";
        for (const chunk of chunks) {
          taken += text(chunk);
          const ended = parser.receive(chunk).state !== "more";
          assert.equal(text(ended ? parser.received(chunk) : parser.received()), taken);
          if (ended) break;
        }
      }
    }
  });

  it("ends at its empty line; the bytes after it are passed on as a copy", () => {
    for (const chunks of splits(`${REQUEST}\x81\x00\r\n\r\n`)) {
      const { progress, left } = feed(new RequestHeadParser(), chunks);
      assert.ok(progress.state === "done");
      assert.equal(text(progress.rest) + left.map(text).join(""), "\x81\x00\r\n\r\n");
    }
  });

  it("keeps nothing of the buffer it came in", () => {
    const pool = bytes(`${head("GET / HTTP/1.1", "A: b")}rest`);
    const progress = new RequestHeadParser().receive(pool.subarray(0));
    assert.ok(progress.state === "done");
    assert.notEqual(progress.rest.buffer, pool.buffer);
    assert.equal(progress.rest.buffer.byteLength, 4);
  });

  it("may have no fields, and empty lines before it", () => {
    const bare = { method: "OPTIONS", target: "/", version: "1.1", headers: [], rest: "" };
    for (const chunks of splits("\r\n\r\nOPTIONS / HTTP/1.1\r\n\r\n")) {
      assert.deepEqual(plain(feed(new RequestHeadParser(), chunks).progress), bare);
    }
  });

  it("accepts a target in absolute form", () => {
    assert.deepEqual(parse(RequestHeadParser, head("GET http://a.example:80/x?y HTTP/1.1")), {
      method: "GET",
      target: "http://a.example:80/x?y",
      version: "1.1",
      headers: [],
      rest: "",
    });
  });

  it("may have fields with names of inherited properties", () => {
    const progress = new RequestHeadParser().receive(bytes(head("GET / HTTP/1.1", "__proto__: a", "constructor: b")));
    assert.ok(progress.state === "done");
    assert.equal(progress.head.headers.get("__proto__"), "a");
    assert.equal(progress.head.headers.get("constructor"), "b");
    assert.equal(progress.head.headers.get("toString"), undefined);
  });

  const wrong: readonly (readonly [string, string, string])[] = [
    ["two spaces before the target", "GET  / HTTP/1.1\r\n", "MALFORMED_HEAD"],
    ["two spaces before the version", "GET /  HTTP/1.1\r\n", "MALFORMED_HEAD"],
    ["a space at the end", "GET / HTTP/1.1 \r\n", "MALFORMED_HEAD"],
    ["a space at the start", " GET / HTTP/1.1\r\n", "MALFORMED_HEAD"],
    ["a tab for a space", "GET\t/ HTTP/1.1\r\n", "MALFORMED_HEAD"],
    ["no version", "GET /\r\n", "MALFORMED_HEAD"],
    ["only a method", "GET\r\n", "MALFORMED_HEAD"],
    ["a method that is no token", "G(T / HTTP/1.1\r\n", "MALFORMED_HEAD"],
    ["no method", " / HTTP/1.1\r\n", "MALFORMED_HEAD"],
    ["another protocol", "GET / ICY/1.1\r\n", "MALFORMED_HEAD"],
    ["the version in lower case", "GET / http/1.1\r\n", "MALFORMED_HEAD"],
    ["a version of two digits", "GET / HTTP/1.10\r\n", "MALFORMED_HEAD"],
    ["HTTP/1.0", "GET / HTTP/1.0\r\n", "UNSUPPORTED_HTTP_VERSION"],
    ["HTTP/1.2", "GET / HTTP/1.2\r\n", "UNSUPPORTED_HTTP_VERSION"],
    ["HTTP/2's preface", "PRI * HTTP/2.0\r\n", "UNSUPPORTED_HTTP_VERSION"],
    ["asterisk form", "OPTIONS * HTTP/1.1\r\n", "MALFORMED_HEAD"],
    ["authority form", "CONNECT example.com:443 HTTP/1.1\r\n", "MALFORMED_HEAD"],
    ["a target with a fragment", "GET /#x HTTP/1.1\r\n", "MALFORMED_HEAD"],
    ["a target outside of ASCII", "GET /\xe4 HTTP/1.1\r\n", "MALFORMED_HEAD"],
    ["a bare LF", "GET / HTTP/1.1\n", "MALFORMED_HEAD"],
    ["a bare CR", "GET / HTTP/1.1\rX", "MALFORMED_HEAD"],
    ["a NUL in the start line", "GET /\0", "MALFORMED_HEAD"],
    ["a TLS record", "\x16", "MALFORMED_HEAD"],
    ["a bare LF behind a field", "GET / HTTP/1.1\r\nA: b\n", "MALFORMED_HEAD"],
    ["a bare CR behind a field", "GET / HTTP/1.1\r\nA: b\rX", "MALFORMED_HEAD"],
    ["a bare LF as the last line", "GET / HTTP/1.1\r\nA: b\r\n\n", "MALFORMED_HEAD"],
    ["a bare CR as the last line", "GET / HTTP/1.1\r\nA: b\r\n\rX", "MALFORMED_HEAD"],
    ["a folded line", "GET / HTTP/1.1\r\nA: b\r\n ", "MALFORMED_HEAD"],
    ["a line folded with a tab", "GET / HTTP/1.1\r\nA: b\r\n\t", "MALFORMED_HEAD"],
    ["a space before the first field", "GET / HTTP/1.1\r\n ", "MALFORMED_HEAD"],
    ["a space before the colon", "GET / HTTP/1.1\r\nA ", "MALFORMED_HEAD"],
    ["a field without a colon", "GET / HTTP/1.1\r\nA\r", "MALFORMED_HEAD"],
    ["a field without a name", "GET / HTTP/1.1\r\n:", "MALFORMED_HEAD"],
    ["a name that is no token", "GET / HTTP/1.1\r\nA(", "MALFORMED_HEAD"],
    ["a name outside of ASCII", "GET / HTTP/1.1\r\nA\xe4", "MALFORMED_HEAD"],
    ["a NUL in a value", "GET / HTTP/1.1\r\nA: b\0", "MALFORMED_HEAD"],
    ["an escape in a value", "GET / HTTP/1.1\r\nA: b\x1b", "MALFORMED_HEAD"],
    ["a DEL in a value", "GET / HTTP/1.1\r\nA: \x7f", "MALFORMED_HEAD"],
    ["a vertical tab before a value", "GET / HTTP/1.1\r\nA:\x0b", "MALFORMED_HEAD"],
  ];
  for (const [name, source, code] of wrong) {
    it(`with ${name} is rejected at the first invalid byte`, () => {
      for (const chunks of splits(source)) {
        const parser = new RequestHeadParser();
        const { progress, left } = feed(parser, chunks);
        assert.equal(plain(progress), code);
        assert.equal(left.length, 0, "not before its last byte");
        assert.throws(() => parser.receive(bytes("x")), refusedWith("INVALID_STATE"));
      }
    });
  }

  it("describes the expected and the received value, printable", () => {
    const progress = new RequestHeadParser().receive(bytes("GET /\x9b HTTP/1.1\r\n"));
    assert.ok(progress.state === "error");
    assert.match(progress.error.message, /expected a path .* got "\/\\u009b"$/);
    const next = new RequestHeadParser().receive(bytes("GET / HTTP/1.1\r\nA: b\n"));
    assert.ok(next.state === "error");
    assert.match(next.error.message, /expected CR LF .*, got 0x0a$/);
  });
});

const RESPONSE = head("HTTP/1.1 101 Switching Protocols", "Upgrade: websocket");
const RESPONSE_HEAD = {
  version: "1.1",
  status: 101,
  reason: "Switching Protocols",
  headers: [["Upgrade", "websocket"]],
};

describe("a response head", () => {
  it("is the same whole, split at every offset and byte by byte", () => {
    for (const chunks of splits(RESPONSE)) {
      assert.deepEqual(plain(feed(new ResponseHeadParser(), chunks).progress), { ...RESPONSE_HEAD, rest: "" });
    }
  });

  it("is the first that is not interim", () => {
    const early = head("HTTP/1.1 103 Early Hints", "Link: </a>", "Link: </b>");
    for (const chunks of splits(`${head("HTTP/1.1 100 Continue")}${early}${RESPONSE}`)) {
      assert.deepEqual(plain(feed(new ResponseHeadParser(), chunks).progress), { ...RESPONSE_HEAD, rest: "" });
    }
    assert.deepEqual(parse(ResponseHeadParser, `${early}${RESPONSE}\x89\x00`), { ...RESPONSE_HEAD, rest: "\x89\x00" });
  });

  const lines: readonly (readonly [string, string, number, string])[] = [
    ["HTTP/1.1 200 OK", "1.1", 200, "OK"],
    ["HTTP/1.1 404 ", "1.1", 404, ""],
    ["HTTP/1.1 101", "1.1", 101, ""],
    ["HTTP/1.0 200", "1.0", 200, ""],
    ["HTTP/1.1 407", "1.1", 407, ""],
    ["HTTP/1.0 200 Connection established", "1.0", 200, "Connection established"],
    // RFC 9110 §2.5: a higher minor version is processed as 1.1
    ["HTTP/1.2 101 OK", "1.1", 101, "OK"],
    ["HTTP/1.9 403", "1.1", 403, ""],
    // RFC 9110 §15: codes out of range are final, like any 5xx
    ["HTTP/1.1 000", "1.1", 0, ""],
    ["HTTP/1.1 099 OK", "1.1", 99, "OK"],
    ["HTTP/1.1 600 ", "1.1", 600, ""],
    ["HTTP/1.1 999 \t\xe4 x ", "1.1", 999, "\t\xe4 x "],
  ];
  for (const [line, version, status, reason] of lines) {
    it(JSON.stringify(line), () => {
      assert.deepEqual(parse(ResponseHeadParser, head(line)), { version, status, reason, headers: [], rest: "" });
    });
  }

  const wrong: readonly (readonly [string, string])[] = [
    ["", "MALFORMED_HEAD"],
    ["HTTP/1.1", "MALFORMED_HEAD"],
    ["HTTP/1.1 ", "MALFORMED_HEAD"],
    ["HTTP/1.1 10", "MALFORMED_HEAD"],
    ["HTTP/1.1 1010", "MALFORMED_HEAD"],
    ["HTTP/1.1 101OK", "MALFORMED_HEAD"],
    ["HTTP/1.1 101\tOK", "MALFORMED_HEAD"],
    ["HTTP/1.1101 OK", "MALFORMED_HEAD"],
    ["101 OK", "MALFORMED_HEAD"],
    ["HTTP/1.1  101 OK", "MALFORMED_HEAD"],
    ["HTTP/1.1 1010 OK", "MALFORMED_HEAD"],
    ["HTTP/1.1 10 OK", "MALFORMED_HEAD"],
    ["HTTP/1.1 +99 OK", "MALFORMED_HEAD"],
    ["HTTP/1.1\t101 OK", "MALFORMED_HEAD"],
    ["http/1.1 101 OK", "MALFORMED_HEAD"],
    [" HTTP/1.1 101 OK", "MALFORMED_HEAD"],
    ["ICY 200 OK", "MALFORMED_HEAD"],
    ["SSH-2.0-OpenSSH_9.2p1", "MALFORMED_HEAD"],
    ["HTTP/2.0 200 OK", "UNSUPPORTED_HTTP_VERSION"],
    ["HTTP/0.9 200 OK", "UNSUPPORTED_HTTP_VERSION"],
  ];
  for (const [line, code] of wrong) {
    it(`${JSON.stringify(line)} is ${code}`, () => {
      for (const chunks of splits(`${line}\r\n`)) {
        assert.equal(plain(feed(new ResponseHeadParser(), chunks).progress), code);
      }
    });
  }

  const LINE = "HTTP/1.1 401";
  // [the lines of a field, its value]
  const folded: readonly (readonly [readonly string[], string])[] = [
    [["A: b", " c"], "b c"],
    [["A: b", "\tc"], "b c"],
    [["A: b \t", " \t c  "], "b c"],
    [["A:", " b"], "b"],
    [["A: ", "\t", " b"], "b"],
    [["A: b", " ", "\t", " "], "b"],
    [["A: b", " ", " c"], "b  c"],
    [["A: b,", " c", "\td"], "b, c d"],
    [["A:b", " X: y"], "b X: y"],
    [["A: \xa0", " \xe4\xa0"], "\xa0 \xe4\xa0"],
    [["A:", " "], ""],
  ];
  for (const [field, value] of folded) {
    it(`has each line break of a folded field replaced by a space: ${JSON.stringify(field)}`, () => {
      for (const chunks of splits(`${head(LINE, "X: y", ...field, "Z: z", ...field)}rest`)) {
        const { progress, left } = feed(new ResponseHeadParser(), chunks);
        assert.ok(progress.state === "done");
        const expected = [["X", "y"], ["A", value], ["Z", "z"], ["A", value]]; // prettier-ignore
        assert.deepEqual([...progress.head.headers], expected);
        assert.equal(text(progress.rest) + left.map(text).join(""), "rest");
      }
    });
  }

  it("may be folded in an interim response, in the final one, or in both", () => {
    const interim = head("HTTP/1.1 103", "Link: </a>;", " rel=preload");
    for (const chunks of splits(interim + head("HTTP/1.1 101", "A: b", "C:", " d"))) {
      assert.deepEqual(plain(feed(new ResponseHeadParser(), chunks).progress), {
        version: "1.1",
        status: 101,
        reason: "",
        headers: [["A", "b"], ["C", "d"]],
        rest: "",
      }); // prettier-ignore
    }
  });

  it("has no folded line before its first field", () => {
    for (const before of ["", head("HTTP/1.1 103", "A: b", " c")]) {
      for (const space of [" ", "\t"]) {
        assert.equal(parse(ResponseHeadParser, `${before}${head(LINE, `${space}A: b`)}`), "MALFORMED_HEAD");
      }
    }
  });

  it("has lines that end in CR LF", () => {
    for (const source of [
      "HTTP/1.1 200\n",
      "HTTP/1.1 200\r\nA: b\n",
      "HTTP/1.1 200\r\nA: b\r\n c\n",
      "HTTP/1.1 200\r\n\n",
      "HTTP/1.1 200\rX",
      "HTTP/1.1 200\r\nA: b\r\n c\rX",
    ]) {
      assert.equal(parse(ResponseHeadParser, source), "MALFORMED_HEAD", JSON.stringify(source));
    }
  });

  it("obeys its limits for folded fields", () => {
    const source = head(LINE, "A: b", " c", " d", "E: f", " g");
    for (const chunks of splits(source)) {
      assert.equal(
        plain(feed(new ResponseHeadParser({ maxHeadSize: source.length - 1 }), chunks).progress),
        "HEAD_TOO_BIG",
      );
      const limits = { maxHeadSize: source.length, maxHeaders: 2 };
      assert.equal(feed(new ResponseHeadParser(limits), chunks).progress.state, "done");
      assert.equal(plain(feed(new ResponseHeadParser({ maxHeaders: 1 }), chunks).progress), "TOO_MANY_HEADERS");
    }
  });
});

describe("errors of a head", () => {
  const START = "GET / HTTP/1.1\r\n";
  // [input, error text]
  const said: readonly (readonly [string, RegExp])[] = [
    ["GET /\0", /: expected CR LF at the end of the line, got 0x00$/],
    [`${START}A: b\x7f`, /: expected CR LF at the end of the line, got 0x7f$/],
    ["GET / HTTP/1.1\rX", /: expected LF behind CR, got 0x58$/],
    [`${START}A: b\rX`, /: expected LF behind CR, got 0x58$/],
    [`${START}\rX`, /: expected LF behind CR, got 0x58$/],
    [`${START} `, /: expected a header name, got 0x20$/],
    [`${START}A `, /: expected a colon behind the header name, got 0x20$/],
    ["GET /\r\n", /: expected "METHOD target HTTP\/1\.1", got "GET \/"$/],
    ["GET\r\n", /: expected "METHOD target HTTP\/1\.1", got "GET"$/],
    ["GET / HTTP/1.1 x\r\n", /: expected "METHOD target HTTP\/1\.1", got "GET \/ HTTP\/1\.1 x"$/],
    ["GET / XHTTP/1.1\r\n", /: expected "METHOD target HTTP\/1\.1", got "GET \/ XHTTP\/1\.1"$/],
    ["GET / HTTP/1.2\r\n", /: got HTTP\/1\.2$/],
    ["GET * HTTP/1.1\r\n", /: expected a path or an http\(s\) URL as target, got "\*"$/],
  ];
  for (const [source, message] of said) {
    it(`are described: ${message.source}`, () => {
      const progress = new RequestHeadParser().receive(bytes(source));
      assert.ok(progress.state === "error");
      assert.match(progress.error.message, message);
    });
  }

  it("are described for a response, too", () => {
    for (const [source, message] of [
      ["ICY 200 OK\r\n", /: expected "HTTP\/1\.1 status reason", got "ICY 200 OK"$/],
      ["HTTP/1.1 2000 OK\r\n", /: expected "HTTP\/1\.1 status reason", got "HTTP\/1\.1 2000 OK"$/],
      ["HTTP/2.0 200 OK\r\n", /: got HTTP\/2\.0$/],
    ] as const) {
      const progress = new ResponseHeadParser().receive(bytes(source));
      assert.ok(progress.state === "error");
      assert.match(progress.error.message, message);
    }
  });

  it("name the exceeded limit", () => {
    const source = head("GET / HTTP/1.1", "A: 1", "B: 2");
    for (const [limits, message] of [
      [{ maxHeadSize: 20 }, /: more than 20$/],
      [{ maxHeaders: 1 }, /: more than 1$/],
    ] as const) {
      const progress = new RequestHeadParser(limits).receive(bytes(source));
      assert.ok(progress.state === "error");
      assert.match(progress.error.message, message);
    }
    assert.throws(
      () => new RequestHeadParser({ maxHeadSize: 0 }),
      refusedWith("INVALID_ARGUMENT", /^maxHeadSize must be an integer of at least 1,/),
    );
    const parser = new RequestHeadParser();
    parser.receive(bytes(source));
    assert.throws(
      () => parser.receive(bytes("x")),
      refusedWith("INVALID_STATE", /: the head is complete: create a new parser$/),
    );
  });
});

describe("limits of a head", () => {
  it("end it: nothing more is accepted", () => {
    for (const limits of [{ maxHeadSize: 5 }, { maxParts: 1 }]) {
      const parser = new RequestHeadParser(limits);
      parser.receive(bytes("GET "));
      parser.receive(bytes("/"));
      assert.throws(() => parser.receive(bytes(" ")), refusedWith("INVALID_STATE"));
    }
  });

  const source = head("GET / HTTP/1.1", "A: 1", "B: 2", "C: 3");

  for (const [Parser, whole] of [
    [RequestHeadParser, source],
    [ResponseHeadParser, head("HTTP/1.1 103 Early Hints", "A: 1") + RESPONSE],
  ] as const) {
    // prettier-ignore
    it(`${Parser.name}: bytes`, () => {
      const state = (maxHeadSize: number, chunks: readonly Uint8Array[]): unknown =>
        plain(feed(create(Parser, { maxHeadSize }), chunks).progress);
      const expected = parse(Parser, whole);
      for (const chunks of splits(whole)) {
        assert.equal(state(whole.length - 1, chunks), "HEAD_TOO_BIG");
        assert.deepEqual(state(whole.length, chunks), expected);
        assert.deepEqual(state(whole.length + 1, chunks), expected);
      }
    });

    it(`${Parser.name}: chunks`, () => {
      const single = Array.from(bytes(whole), (byte) => Uint8Array.of(byte));
      const empty = new Uint8Array(0);
      const chunks = [empty, ...single.flatMap((one) => [one, empty])];
      const expected = parse(Parser, whole);
      assert.equal(plain(feed(create(Parser, { maxParts: single.length - 1 }), chunks).progress), "TOO_MANY_PARTS");
      assert.deepEqual(plain(feed(create(Parser, { maxParts: single.length }), chunks).progress), expected);
      assert.deepEqual(plain(feed(create(Parser, { maxParts: single.length + 1 }), chunks).progress), expected);
    });
  }

  it("header fields", () => {
    for (const chunks of splits(source)) {
      assert.equal(plain(feed(new RequestHeadParser({ maxHeaders: 2 }), chunks).progress), "TOO_MANY_HEADERS");
      assert.equal(feed(new RequestHeadParser({ maxHeaders: 3 }), chunks).progress.state, "done");
      assert.equal(feed(new RequestHeadParser({ maxHeaders: 4 }), chunks).progress.state, "done");
    }
    assert.equal(new RequestHeadParser({ maxHeaders: 0 }).receive(bytes(head("GET / HTTP/1.1"))).state, "done");
  });

  it("header fields of all interim responses together", () => {
    const responses = head("HTTP/1.1 100 Continue", "A: 1") + head("HTTP/1.1 103 Early Hints", "A: 1") + RESPONSE;
    assert.equal(plain(new ResponseHeadParser({ maxHeaders: 2 }).receive(bytes(responses))), "TOO_MANY_HEADERS");
    assert.equal(new ResponseHeadParser({ maxHeaders: 3 }).receive(bytes(responses)).state, "done");
  });

  it("by default 16 KiB, 100 fields, 1024 parts", () => {
    const sized = (size: number): string => {
      const empty = head("GET / HTTP/1.1", "A: ");
      return head("GET / HTTP/1.1", `A: ${"a".repeat(size - empty.length)}`);
    };
    assert.equal(new RequestHeadParser().receive(bytes(sized(16 * 1024))).state, "done");
    assert.equal(plain(new RequestHeadParser().receive(bytes(sized(16 * 1024 + 1)))), "HEAD_TOO_BIG");
    const fields = (count: number): string => head("GET / HTTP/1.1", ...new Array<string>(count).fill("A: b"));
    assert.equal(new RequestHeadParser().receive(bytes(fields(100))).state, "done");
    assert.equal(plain(new RequestHeadParser().receive(bytes(fields(101)))), "TOO_MANY_HEADERS");
    const single = (size: number): readonly Uint8Array[] =>
      Array.from(bytes(sized(size)), (byte) => Uint8Array.of(byte));
    assert.equal(feed(new RequestHeadParser(), single(1024)).progress.state, "done");
    assert.equal(plain(feed(new RequestHeadParser(), single(1025)).progress), "TOO_MANY_PARTS");
  });

  it("2,000 header fields are rejected (CVE-2024-37890)", () => {
    const many = head("GET / HTTP/1.1", ...Array.from({ length: 2000 }, (_, at) => `X-${at}: 1`));
    assert.equal(plain(new RequestHeadParser().receive(bytes(many))), "TOO_MANY_HEADERS");
    assert.equal(plain(new RequestHeadParser({ maxHeaders: Infinity }).receive(bytes(many))), "HEAD_TOO_BIG");
    const unlimited = { maxHeaders: Infinity, maxHeadSize: Infinity, maxParts: Infinity };
    const progress = new RequestHeadParser(unlimited).receive(bytes(many));
    assert.ok(progress.state === "done");
    assert.equal(progress.head.headers.size, 2000);
  });

  it("endless interim responses are rejected", () => {
    const endless = bytes(head("HTTP/1.1 100 Continue").repeat(4000));
    assert.equal(plain(new ResponseHeadParser().receive(endless)), "HEAD_TOO_BIG");
  });

  it("that are invalid are rejected by the constructor", () => {
    for (const wrong of [
      { maxHeadSize: 0 },
      { maxHeaders: -1 },
      { maxParts: 0 },
      { maxHeadSize: NaN },
      { maxParts: 1.5 },
    ]) {
      assert.throws(
        () => new RequestHeadParser(wrong),
        refusedWith("INVALID_ARGUMENT", new RegExp(Object.keys(wrong)[0])),
      );
      assert.throws(() => new ResponseHeadParser(wrong), refusedWith("INVALID_ARGUMENT"));
    }
  });
});

describe("any head", () => {
  const TOKEN = [..."!#$%&'*+-.^_`|~09azAZ"];
  const token = fc.string({ unit: fc.constantFrom(...TOKEN), minLength: 1, maxLength: 12 });
  const VALUE = Array.from({ length: 256 }, (_, code) => code).filter(
    (code) => code === 9 || (code >= 32 && code !== 127),
  );
  const value = fc.string({ unit: fc.constantFrom(...VALUE.map((code) => String.fromCharCode(code))), maxLength: 40 });
  const fields = fc.array(fc.tuple(token, value, fc.constantFrom("", " ", "\t ")), { maxLength: 8 });
  const trimmed = (given: string): string => given.replace(/^[ \t]+/, "").replace(/[ \t]+$/, "");

  it("that is valid has the same result in any chunks", () => {
    const places = fc.array(fc.nat(), { maxLength: 12 });
    const target = fc.webPath({ size: "small" }).map((path) => `/${path}`);
    fc.assert(
      fc.property(
        token,
        target,
        fields,
        fc.string({ unit: "binary-ascii" }),
        places,
        (method, path, given, rest, at) => {
          const lines = given.map(([name, content, space]) => `${name}:${space}${content}${space}`);
          const source = bytes(head(`${method} ${path} HTTP/1.1`, ...lines) + rest);
          const { progress, left } = feed(new RequestHeadParser(), cut(source, at));
          assert.ok(progress.state === "done");
          assert.equal(text(progress.rest) + left.map(text).join(""), rest);
          assert.deepEqual({ ...progress.head, headers: [...progress.head.headers] }, {
          method,
          target: path,
          version: "1.1",
          headers: given.map(([name, content]) => [name, trimmed(content)]),
        }); // prettier-ignore
        },
      ),
    );
  });

  it("and any bytes never throw, and have the same result in any chunks", () => {
    const noise = fc.uint8Array({ maxLength: 200 });
    // mostly heads with one wrong byte: random bytes end at the first one
    const spoiled = fc.tuple(fc.constantFrom(REQUEST, RESPONSE), fc.nat(), fc.nat(255)).map(([source, at, byte]) => {
      const wrong = bytes(source);
      wrong[at % wrong.length] = byte;
      return wrong;
    });
    fc.assert(
      fc.property(fc.oneof(noise, spoiled), fc.array(fc.nat(), { maxLength: 6 }), (source, places) => {
        for (const Parser of [RequestHeadParser, ResponseHeadParser]) {
          const whole = new Parser().receive(source);
          const { progress, left } = feed(create(Parser), cut(source, places));
          if (whole.state !== "done" || progress.state !== "done") assert.deepEqual(plain(progress), plain(whole));
          else assert.equal(text(progress.rest) + left.map(text).join(""), text(whole.rest));
        }
      }),
      { numRuns: 500 },
    );
  });
});
