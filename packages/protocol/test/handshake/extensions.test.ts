import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  acceptAnswer,
  answerOffers,
  checkExtensions,
  formatExtensions,
  parseExtensions,
} from "../../src/handshake/extensions.ts";
import type {
  ClientExtension,
  ExtensionOffer,
  ExtensionParams,
  ServerExtension,
} from "../../src/handshake/extensions.ts";
import { INJECTIONS, refusedWith } from "./support.ts";

const offer = (name: string, ...params: ExtensionParams): ExtensionOffer => ({ name, params });

describe("Sec-WebSocket-Extensions", () => {
  const fine: readonly (readonly [string, readonly ExtensionOffer[]])[] = [
    ["foo", [offer("foo")]],
    ["foo, bar", [offer("foo"), offer("bar")]],
    // RFC 6455 §9.1
    ["foo, bar; baz=2", [offer("foo"), offer("bar", ["baz", "2"])]],
    ["deflate-stream", [offer("deflate-stream")]],
    [
      "mux; max-channels=4; flow-control, deflate-stream",
      [offer("mux", ["max-channels", "4"], ["flow-control", true]), offer("deflate-stream")],
    ],
    // RFC 7692 §7.1.2.2
    [
      "permessage-deflate; client_max_window_bits; server_max_window_bits=10, permessage-deflate",
      [
        offer("permessage-deflate", ["client_max_window_bits", true], ["server_max_window_bits", "10"]),
        offer("permessage-deflate"),
      ],
    ],
    ['a; b="c"', [offer("a", ["b", "c"])]],
    ['a; b="\\c\\d"; e', [offer("a", ["b", "cd"], ["e", true])]],
    // repeated parameters are evaluated by the extension
    ["a; b; b=1; b=2", [offer("a", ["b", true], ["b", "1"], ["b", "2"])]],
    // RFC 2616 §2.1: whitespace between any two parts, empty elements
    [" , a\t;\tb =\t1 ;c,, ,b , ", [offer("a", ["b", "1"], ["c", true]), offer("b")]],
    // RFC 9110 §5.6.1: an empty list means the same as no header field
    ["", []],
    [" \t", []],
    [",", []],
    [" ,, ,", []],
    [
      "__proto__; constructor; __proto__=toString",
      [offer("__proto__", ["constructor", true], ["__proto__", "toString"])],
    ],
  ];
  for (const [value, list] of fine) {
    it(JSON.stringify(value), () => assert.deepEqual(parseExtensions(value), list));
  }

  const wrong = [
    ",, ;",
    ";",
    "a;",
    "a; ",
    "a;;b",
    "; a",
    "a b",
    "a, b c",
    "a; b c",
    "a; b=",
    "a; b= , c",
    "a; =1",
    "a; b=1 2",
    "a; b==1",
    "a=1",
    'a; b="',
    'a; b="c',
    'a; b=""',
    'a; b="c d"',
    'a; b="c,d"',
    'a; b="\\"',
    'a; b="\\',
    'a; b="c\\"d"',
    'a; b="c"d',
    '"a"',
    'a; "b"',
    "a; b='1, c/d",
    "a\u00e4",
    "a;b=\u00e4",
    "(a)",
    "a; b=c@d",
    "a\x00",
  ];
  for (const value of wrong) {
    it(`rejects ${JSON.stringify(value)}`, () => assert.equal(parseExtensions(value), undefined));
  }

  it("are formatted so that they are parsed the same", () => {
    const token = fc.string({ unit: fc.constantFrom(..."!#$%&'*+-.^_`|~09azAZ"), minLength: 1, maxLength: 8 });
    const params = fc.array(fc.tuple(token, fc.oneof(token, fc.constant<true>(true))), { maxLength: 4 });
    const list = fc.array(fc.record({ name: token, params }, { noNullPrototype: true }), {
      minLength: 1,
      maxLength: 5,
    });
    fc.assert(fc.property(list, (given) => assert.deepEqual(parseExtensions(formatExtensions(given)), given)));
    assert.equal(formatExtensions([]), "");
  });

  it("of any text never throw, and contain only tokens", () => {
    const text = fc.string({ unit: fc.constantFrom(...'ab;,="\\ \t/\u00e4'), maxLength: 30 });
    fc.assert(
      fc.property(text, (value) => {
        const list = parseExtensions(value);
        if (list !== undefined) assert.deepEqual(parseExtensions(formatExtensions(list)), list);
      }),
      { numRuns: 2000 },
    );
  });

  for (const injection of [...INJECTIONS, "", "a b", "a,b", "a;b", "a=b", '"a"', "\u00e4"]) {
    it(`are not formatted with ${JSON.stringify(injection)}`, () => {
      for (const list of [
        [offer(injection)],
        [offer("a", [injection, true])],
        [offer("a", ["b", injection])],
        [offer("a", [injection, "b"])],
      ]) {
        assert.throws(
          () => formatExtensions(list),
          refusedWith("INVALID_ARGUMENT", /each name of extensions must be a token, got "/),
        );
      }
    });
  }
});

it("an extension without a name, or with a value that is not text, is rejected", () => {
  for (const [wrong, got] of [
    [offer(undefined as unknown as string), /^each name of extensions must be a token, got undefined$/],
    [offer("a", ["b", 5 as unknown as string]), /^each name of extensions must be a token, got 5$/],
    [offer("a", ["b", null as unknown as string]), /^each name of extensions must be a token, got null$/],
  ] as const) {
    assert.throws(() => formatExtensions([wrong]), refusedWith("INVALID_ARGUMENT", got));
  }
});

/** Accepts offers whose parameters are all called "ok", and remembers them. */
function server(name: string, rsv = 0): ServerExtension<{ offered: ExtensionParams }> {
  return {
    name,
    rsv,
    answer(offers) {
      const fine = offers.find(({ params }) => params.every(([param]) => param === "ok"));
      return fine && { params: fine.params, negotiated: { offered: fine.params } };
    },
  };
}

describe("the server's negotiation", () => {
  const answer = (extensions: readonly ServerExtension[], value: string): string =>
    formatExtensions(answerOffers(extensions, parseExtensions(value) ?? []));

  it("accepts the first acceptable offer of each name, in the client's order", () => {
    assert.equal(answer([server("a"), server("b")], "b; no, x, a; ok=1, b; ok=2, b; ok=3"), "b; ok=2, a; ok=1");
    assert.equal(answer([server("a")], "a; no, b"), "");
    assert.equal(answer([], "a"), "");
    assert.deepEqual(answerOffers([server("a")], []), []);
  });

  it("keeps the state of the extension", () => {
    const [one, ...more] = answerOffers([server("a", 0x40)], [offer("a", ["ok", "1"])]);
    assert.deepEqual(one, { name: "a", params: [["ok", "1"]], rsv: 0x40, negotiated: { offered: [["ok", "1"]] } });
    assert.equal(more.length, 0);
  });

  it("assigns a bit to one extension only, the client's first", () => {
    const both = [server("a", 0x40), server("b", 0x60), server("c", 0x20)];
    assert.equal(answer(both, "b, a, c"), "b");
    assert.equal(answer(both, "a, b, c"), "a, c");
    assert.equal(answer(both, "b; no, a, c"), "a, c");
  });

  it("declines names of inherited properties", () => {
    assert.equal(answer([server("a")], "__proto__, constructor; __proto__, toString, a; __proto__"), "");
    assert.equal(answer([server("__proto__")], "__proto__"), "__proto__");
  });
});

function client(name: string, rsv = 0, offers = [offer(name)]): ClientExtension<{ params: ExtensionParams }> {
  return {
    name,
    rsv,
    offers,
    accept: (params) => (params.some(([param]) => param === "no") ? "it has no" : { params }),
  };
}

describe("the client's negotiation", () => {
  const both = [client("a", 0x40), client("b", 0x60), client("c", 0x10), client("never", 0, [])];

  it("completes if the server names none", () => {
    for (const value of [undefined, "", " ", ",", " ,\t, "]) assert.deepEqual(acceptAnswer(both, value), []);
  });

  it("keeps the server's order", () => {
    assert.deepEqual(acceptAnswer(both, "c; x=1, a"), [
      { name: "c", params: [["x", "1"]], rsv: 0x10, negotiated: { params: [["x", "1"]] } },
      { name: "a", params: [], rsv: 0x40, negotiated: { params: [] } },
    ]);
  });

  const wrong: readonly (readonly [string, string, RegExp])[] = [
    [",;", "INVALID_EXTENSIONS", /got ",;"/],
    ["a;", "INVALID_EXTENSIONS", /got "a;"/],
    ["x", "UNREQUESTED_EXTENSION", /"x" was not offered/],
    ["never", "UNREQUESTED_EXTENSION", /"never" was not offered/],
    ["A", "UNREQUESTED_EXTENSION", /"A" was not offered/],
    ["__proto__", "UNREQUESTED_EXTENSION", /not offered/],
    ["constructor", "UNREQUESTED_EXTENSION", /not offered/],
    ["a, c, a", "UNREQUESTED_EXTENSION", /"a" came twice/],
    ["a, b", "UNREQUESTED_EXTENSION", /"b" uses a bit/],
    ["c; no", "UNREQUESTED_EXTENSION", /"c": it has no/],
  ];
  for (const [value, code, message] of wrong) {
    it(`fails for ${JSON.stringify(value)}`, () => {
      const result = acceptAnswer(both, value);
      assert.ok(result instanceof Error);
      refusedWith(code, message)(result);
    });
  }
});

describe("extensions of a caller", () => {
  it("have distinct names and bits of RSV", () => {
    checkExtensions([server("a", 0x40), server("b", 0x40), server("c", 0x70), server("__proto__")]);
    assert.throws(
      () => checkExtensions([server("a"), server("a")]),
      refusedWith("INVALID_ARGUMENT", /^each name of extensions must be distinct, got "a"/),
    );
    assert.throws(() => checkExtensions([server("a b")]), refusedWith("INVALID_ARGUMENT", /a token, got "a b"/));
    for (const rsv of [1, 0x80, 0x48, 0.5, NaN, -1]) {
      assert.throws(
        () => checkExtensions([server("a", rsv)]),
        refusedWith("INVALID_ARGUMENT", /rsv of the extension a must be a combination of the bits .*, got /),
      );
    }
  });
});
